"""Data sets on file systems that go away: a file system in user space is slow, gives stale handles, dies, comes
back and hangs; and a mount is taken away under a run."""
import errno
import json
import os
import subprocess
import threading
import time

import fuse
from helper import Case, unittest

OPIML = os.environ["OPIML"]
PICTURES = """
opiml: 1
kind: pipeline
seed: 3
dataset: {uri: %s, format: %s, index: keep}
shuffle: {mode: global}
ops: [{decode: {}}, {resize: {size: [16, 16]}}]
batch: {size: 8}
errors: {budget: %g}
"""


class Filer(Case):
    @classmethod
    def setUpClass(cls):
        try:
            fuse.enter_namespace()
            os.close(os.open("/dev/fuse", os.O_RDWR))
        except OSError as why:
            raise unittest.SkipTest(f"no mounts of one's own, or no /dev/fuse, here: {why}")

    def setUp(self):
        super().setUp()
        self.opiml("data", "make", "images", "--count", "120", "--test", "0", "--size", "32", "--out", "images")
        self.opiml("data", "make", "images", "--count", "120", "--test", "0", "--size", "64", "--out", "tars",
                   "--format", "webdataset")
        os.mkdir(self.path("mnt"))
        self.filer = None
        self.addCleanup(lambda: self.filer and self.filer.close())

    def mount(self, folder="images/train"):
        """Twice for one test: the first must have died, and is taken away."""
        try:
            fuse.unmount(self.path("mnt"))
        except OSError:
            pass
        self.filer = fuse.Filer(self.path(folder), self.path("mnt"))
        return self.filer

    def start(self, *arguments, form="image-folder", uri="mnt", budget=0, io="", timeout=20, epochs=1):
        self.write("p.yaml", PICTURES % (uri, form, budget))
        return subprocess.Popen([OPIML, "feed", "p.yaml", "--digest", "--json", "--epochs", str(epochs), *arguments],
                                cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env={**os.environ, "OPIML_IO": io, "OPIML_FILER_TIMEOUT": str(timeout)})

    def end(self, run, status=0):
        try:
            said = run.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            run.kill()
            run.wait()
            raise
        self.assertEqual(run.returncode, status, said[1])
        return json.loads(said[0]), said[1]

    def feed(self, *arguments, status=0, **options):
        return self.end(self.start(*arguments, **options), status)

    def ways(self):
        """io_uring, where it is allowed, and plain reads."""
        run = self.start(uri="images/train", io="uring")
        said = run.communicate(timeout=60)[1]
        return ("pread",) if "io_uring is not to be had here" in said else ("uring", "pread")

    def cases(self):
        """Both formats, of whole small files and of parts of large ones, with both ways to read."""
        for form, folder in ("image-folder", "images/train"), ("webdataset", "tars/train"):
            there, _ = self.feed(form=form, uri=folder)
            for io in self.ways():
                self.mount(folder)
                self.feed(form=form)  # its index is there from now on
                yield {"form": form, "io": io}, there["digest"]
                self.filer.close()
                self.filer = None

    def count_down(self, operation, count, then):
        """Call `then` once, when the operation is asked for the count-th time."""
        left, lock = [count], threading.Lock()

        def instead(asked, _):
            with lock:
                left[0] -= asked == operation
                now = asked == operation and left[0] == 0
            return then() or 0 if now else 0

        self.filer.instead = instead

    def test_opening_that_takes_long(self):
        self.mount()
        whole, _ = self.feed()

        def slow(operation, _):
            time.sleep(0.05 if operation in (fuse.LOOKUP, fuse.OPEN) else 0)
            return 0

        self.filer.instead = slow
        self.filer.seen.clear()
        began = time.monotonic()
        run, _ = self.feed()
        waited = 0.05 * (self.filer.seen[fuse.LOOKUP] + self.filer.seen[fuse.OPEN])
        self.assertEqual(run["digest"], whole["digest"])
        self.assertGreater(waited, 8)
        self.assertLess(time.monotonic() - began, waited / 2)  # many at once

    def test_stale_handles(self):
        for options, digest in self.cases():
            for operation in fuse.READ, fuse.OPEN, fuse.LOOKUP:
                stale, lock = {}, threading.Lock()

                def instead(asked, path):
                    with lock:
                        first = asked == operation and path not in stale and "." in path
                        if first:
                            stale[path] = True
                    return errno.ESTALE if first else 0

                self.filer.instead = instead
                run, _ = self.feed(**options)
                self.assertEqual((run["digest"], run["errors"]), (digest, 0), (options, operation))
                self.assertGreater(len(stale), 0)

    def test_a_file_that_stays_stale_is_a_bad_record(self):
        self.mount()
        self.feed()
        victim = next(name for name in sorted(os.listdir(self.path("images/train"))) if "." not in name)
        victim = os.path.join(victim, sorted(os.listdir(self.path("images/train", victim)))[0])
        self.filer.instead = lambda asked, path: errno.EIO if asked == fuse.READ and path == victim else 0
        for io in self.ways():
            run, said = self.feed(budget=1, io=io)
            self.assertEqual((run["samples"], run["errors"]), (119, 1))
            self.assertIn(victim, said)
        run, said = self.feed(status=6)
        self.assertIn("errors.budget", said)

    def test_a_mount_that_comes_back(self):
        for options, digest in self.cases():
            died = threading.Event()
            self.count_down(fuse.READ, 6, died.set)
            run = self.start(**options)
            self.assertTrue(died.wait(20))
            self.filer.die()
            time.sleep(0.5)
            self.mount(os.path.relpath(self.filer.folder, self.folder))
            report, _ = self.end(run)
            self.assertEqual((report["digest"], report["errors"]), (digest, 0), options)

    def test_a_mount_that_goes_for_good(self):
        for options, digest in self.cases():
            died = threading.Event()
            self.count_down(fuse.READ, 6, died.set)
            run = self.start("--state", "state", timeout=1, budget=50, **options)
            self.assertTrue(died.wait(20))
            self.filer.die()
            _, said = self.end(run, status=5)
            self.assertRegex(said, r"file://.*/mnt/.*: .*, for 1 s \(OPIML_FILER_TIMEOUT\): look after the file system "
                                   r".*; then resume")
            self.mount(os.path.relpath(self.filer.folder, self.folder))
            report, _ = self.feed("--state", "state", budget=50, **options)
            self.assertEqual(report["digest"], digest)
            os.remove(self.path("state"))

    def test_a_filer_that_hangs(self):
        """What the kernel waits for keeps the process until it is answered; the message does not wait for it."""
        for options, digest in self.cases():
            go_on = threading.Event()

            def hang():
                self.filer.instead = lambda asked, path: go_on.wait(60) and 0
                go_on.wait(60)

            self.count_down(fuse.READ, 6, hang)
            run = self.start("--state", "state", timeout=1, **options)
            watch = threading.Timer(30, go_on.set)
            watch.start()
            line = run.stderr.readline()
            self.assertFalse(go_on.is_set(), "nothing was said for 30 s")
            self.assertRegex(line, r"file://.*/mnt/.*: no answer, for 1 s .*: look after the file system")
            watch.cancel()
            self.filer.instead = lambda asked, path: 0
            go_on.set()
            self.end(run, status=5)
            report, _ = self.feed("--state", "state", **options)
            self.assertEqual(report["digest"], digest)
            if os.path.exists(self.path("state")):
                os.remove(self.path("state"))

    def test_opening_says_what_is_wrong(self):
        self.mount().instead = lambda asked, path: errno.ESTALE if asked != fuse.GETATTR else 0
        _, said = self.refused()
        self.assertIn("mnt", said)
        self.filer.die()
        _, said = self.refused()
        self.assertIn("mnt holds no files", said)

    def refused(self):
        run = self.start()
        said = run.communicate(timeout=60)
        self.assertNotEqual(run.returncode, 0)
        return said

    def test_what_is_unmounted_under_a_run(self):
        """A mount that is taken out of its place is there for who has it open."""
        fuse.mount("tmpfs", self.path("mnt"), "size=32m")
        subprocess.run(["cp", "-a", self.path("images/train/."), self.path("mnt")], check=True)
        there, _ = self.feed("--epochs", "300", uri="images/train", epochs=300)
        self.feed()
        run = self.start(epochs=300)
        time.sleep(0.3)
        fuse.unmount(self.path("mnt"))
        report, _ = self.end(run)
        self.assertEqual(report["digest"], there["digest"])
        _, said = self.refused()
        self.assertIn("mnt", said)

    def node(self, *options, timeout=1):
        return self.start_node(*options, env={"OPIML_FILER_TIMEOUT": str(timeout)})[1]

    def test_a_node_whose_filer_goes(self):
        """What the node can read no more is read here: the epoch goes on."""
        self.mount()
        here, _ = self.feed(uri="images/train", epochs=40)
        at = self.node("--roots", self.path("mnt"), "--alias",
                       f"file://{self.path('images/train')}={self.path('mnt')}")
        died = threading.Event()
        self.count_down(fuse.READ, 300, died.set)
        run = self.start("--node", at, "--cut", "1", uri=f"file://{self.path('images/train')}", epochs=40)
        self.assertTrue(died.wait(20))
        self.filer.die()
        report, said = self.end(run)
        self.assertEqual((report["digest"], report["errors"]), (here["digest"], 0))
        self.assertIn("mnt", said)


if __name__ == "__main__":
    unittest.main()
