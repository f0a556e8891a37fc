"""One feed for the processes of a machine: `opiml feed --serve`, and those who join it, each in a
process of its own. What they get together is what one alone would."""
import os
import signal
import subprocess
import sys

from helper import Case, opiml, unittest

WORLD = 3

# A rank: two passes, and in the end the digest. Dies behind a batch of that number, if there is one.
RANK = """
import os, signal, sys, opiml
path, name, rank, world, last = sys.argv[1:]
pipe = opiml.Pipeline(path, rank=int(rank), world=int(world), digest=True, join=name)
for epoch in range(2):
    for number, batch in enumerate(pipe):
        if number == int(last):
            os.kill(os.getpid(), signal.SIGKILL)
print(pipe.epoch, pipe.stats()["digest"])
"""

SLOW = """
opiml: 1
kind: pipeline
dataset: {uri: rows.bin, format: raw, fields: ["x:f32:3", "label:i32"]}
shuffle: {mode: global}
ops:
  - filter: {where: "label >= 30"}
batch: {size: 24}
"""


class Serve(Case):
    def serve(self, path, consumers=WORLD):
        """The process that serves, once it does; its name."""
        name = f"test-{os.getpid()}-{os.path.basename(self.folder)}"
        server = subprocess.Popen([os.environ["OPIML"], "feed", path, "--serve", name,
                                   "--consumers", str(consumers), "--json"], text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(server.communicate)
        self.addCleanup(server.kill)
        self.assertIn(f"serving under the name {name}", server.stderr.readline())
        return server, name

    def rank(self, path, name, rank, last=-1, before=()):
        return subprocess.Popen([*before, sys.executable, "-c", RANK, path, name, str(rank), str(WORLD),
                                 str(last)], text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)

    def end(self, server):
        server.send_signal(signal.SIGTERM)
        out, err = server.communicate(timeout=60)
        self.assertEqual(server.returncode, 0, err)
        return out

    def digests(self, ranks):
        total = 0
        for rank in ranks:
            out, err = rank.communicate(timeout=120)
            self.assertEqual(rank.returncode, 0, err)
            epoch, digest = out.split()
            self.assertEqual(epoch, "2")
            total += int(digest, 16)
        return f"{total % (1 << 128):032x}"

    def alone(self, path):
        pipe = opiml.Pipeline(path, epochs=2, digest=True)
        for _ in pipe:
            pass
        return pipe.stats()["digest"]

    def test_two_passes(self):
        path, _ = self.rows(1000, SLOW)
        server, name = self.serve(path)
        ranks = [self.rank(path, name, rank) for rank in range(WORLD)]
        self.assertEqual(self.digests(ranks), self.alone(path))
        # One feed made both passes: the second one's first batch stood there already.
        self.assertIn('"samples": 1940', self.end(server))

    def test_all_are_killed_and_begin_again(self):
        path, _ = self.rows(1000, SLOW)
        server, name = self.serve(path)
        for last in (0, 7, 20):
            ranks = [self.rank(path, name, rank, last) for rank in range(WORLD)]
            for rank in ranks:
                rank.communicate(timeout=120)
                self.assertEqual(rank.returncode, -signal.SIGKILL)
        ranks = [self.rank(path, name, rank) for rank in range(WORLD)]
        self.assertEqual(self.digests(ranks), self.alone(path))
        self.end(server)

    def test_who_serves_is_killed(self):
        path, _ = self.rows(1000, SLOW)
        server, name = self.serve(path, 1)
        batches = iter(opiml.Pipeline(path, epochs=0, join=name))
        next(batches)
        server.kill()
        server.wait()
        with self.assertRaisesRegex(opiml.Error, f"the feed {name}: .*the other end has gone"):
            for _ in range(10):
                next(batches)

    def test_who_joins_need_not_see_the_data(self):
        path, _ = self.rows(1000, SLOW)
        want = self.alone(path)
        os.mkdir(self.path("data"))
        os.rename(self.path("rows.bin"), self.path("data", "rows.bin"))
        self.write("rows.yaml", SLOW.replace("rows.bin", "data/rows.bin"))
        server, name = self.serve(path)
        hide = ["unshare", "--mount", "--map-root-user", "sh", "-c",
                'mount -t tmpfs none "$1" || exit 77; shift; exec "$@"', "sh", self.path("data")]
        probe = subprocess.run([*hide, "true"], capture_output=True, check=False)
        if probe.returncode:
            self.skipTest(f"no mount namespace here: {probe.stderr}")
        # Within its namespace it is root, as which the one who serves sees it, too.
        ranks = [self.rank(path, name, rank, before=hide) for rank in range(WORLD)]
        self.assertEqual(self.digests(ranks), want)
        self.end(server)

    def test_mistakes(self):
        path, _ = self.rows(100)
        for arguments, message in (
                (("--serve", "a/b"), "no name of a feed"),
                (("--serve", "a", "--digest"), "those who join say these"),
                (("--consumers", "2"), "--consumers is for --serve"),
                (("--join", "x", "--cut", "0"), "not both")):
            reply = self.run_opiml("feed", path, *arguments)
            self.assertEqual(reply.returncode, 2, reply.stderr)
            self.assertIn(message, reply.stderr)
        with self.assertRaises(TypeError):
            opiml.Pipeline(path, join=3)
        with self.assertRaisesRegex(opiml.Error, "no name of a feed"):
            next(iter(opiml.Pipeline(path, join="")))


if __name__ == "__main__":
    unittest.main()
