"""What batches come over: the same by every link, and nothing is left of any, whoever dies."""
import ctypes.util
import json
import os
import signal
import subprocess
import time

from helper import Case, unittest

OPIML = os.environ["OPIML"]
BUILT = json.loads(subprocess.run([OPIML, "version", "--json"], capture_output=True, check=True).stdout)["libraries"]
needs_ucx = unittest.skipUnless(BUILT["UCX"] == "yes" and ctypes.util.find_library("ucp"),
                                "no UCX: libucx-dev has to be there when opiml is built, and libucx0")
GONE_S = 5  # in which a death has to be noticed

# Batches of some megabytes, so that a signal finds one half made or half read.
LARGE = """
opiml: 1
kind: pipeline
dataset: {uri: large.bin, format: raw, fields: ["x:u8:65536"]}
shuffle: {mode: global}
ops:
  - cast: {field: x, to: f32}
batch: {size: 16}
"""

# A node in one network namespace, its consumers in another one, with a wire between. UCX looks for it
# in /sys, which has to be that of the namespace.
APART = """
[ -z "$UCX" ] || mount -t sysfs none /sys || exit 77
ip link set lo up || exit 77
unshare -n${UCX:+m} sh -c "${UCX:+mount -t sysfs none /sys;} exec sleep 50" & apart=$!
trap 'kill $apart $node' EXIT
sleep 0.3
ip link add here type veth peer name there netns $apart || exit 77
ip addr add 192.0.2.1/24 dev here && ip link set here up || exit 77
inside() { nsenter -t $apart -n ${UCX:+-m --wd="$PWD"} "$@"; }
inside ip addr add 192.0.2.2/24 dev there && inside ip link set there up || exit 77
"$OPIML" node start --listen 192.0.2.1:0 --data 192.0.2.1:0 --insecure --roots . $UCX >node.out & node=$!
while ! [ -s node.out ]; do sleep 0.05; done
at=$(awk '{ print $NF; exit }' node.out)
if [ -n "$UCX" ]; then
    sleep 1.5 # until the kernel says that the wire runs, which UCX asks
    "$OPIML" feed p.yaml --digest
    inside "$OPIML" feed p.yaml --digest --cut 1 --node "$at" --link ucx --insist
    exit
fi
"$OPIML" feed p.yaml --digest --cut 1 --node "$at" --link shm --insist
inside "$OPIML" feed p.yaml --digest --cut 1 --node "$at" --insist
inside "$OPIML" feed p.yaml --digest --cut 1 --node "$at" --link shm --insist
exit 0
"""


def memory_of(process):
    """The shared memory that a process has open or mapped, as the kernel names it."""
    found = []
    for fd in os.listdir(f"/proc/{process.pid}/fd"):
        try:
            found.append(os.readlink(f"/proc/{process.pid}/fd/{fd}"))
        except FileNotFoundError:  # closed meanwhile
            pass
    with open(f"/proc/{process.pid}/maps", encoding="ascii") as maps:
        found += maps.read().split("\n")
    return [line for line in found if "memfd:" in line]


def descriptors(process):
    return len(os.listdir(f"/proc/{process.pid}/fd"))


def threads(process):
    return len(os.listdir(f"/proc/{process.pid}/task"))


def at_rest(process):
    """Its descriptors and threads, once they have been the same for two seconds: what has ended is closed beside."""
    seen = []
    while len(seen) < 20 or len(set(seen[-20:])) > 1:
        seen.append((descriptors(process), threads(process)))
        time.sleep(0.1)
    return seen[-1]


def wait_for(condition, seconds=20):
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


class Link(Case):
    def setUp(self):
        super().setUp()
        self.write("large.bin", os.urandom(1 << 16) * 64)
        self.write("p.yaml", LARGE)

    def node(self, *options):
        return self.start_node("--roots", self.folder, *options)

    def consumer(self, at, link="shm"):
        """One that takes batches without end."""
        process = subprocess.Popen([OPIML, "feed", "p.yaml", "--epochs", "0", "--node", at, "--cut", "1", "--link", link,
                                    "--insist", "--state", "state"], cwd=self.folder, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertTrue(wait_for(lambda: os.path.exists(self.path("state")) or process.poll() is not None))
        self.assertIsNone(process.poll())
        os.remove(self.path("state"))
        return process

    def same_over(self, at, *links):
        here = self.opiml("feed", "p.yaml", "--digest").stdout.split("digest ")[1].split()[0]
        for link in links:
            there = self.opiml("feed", "p.yaml", "--digest", "--insist", "--node", at, "--cut", "1", "--link",
                               link).stdout.split("digest ")[1].split()[0]
            self.assertEqual(there, here)

    def test_the_same_over_every_link(self):
        _, at = self.node()
        self.same_over(at, "auto", "tcp", "shm")

    @needs_ucx
    def test_the_same_over_ucx(self):
        node, at = self.node("--ucx")
        self.same_over(at, "auto", "ucx", "shm", "ucx")
        with open(f"/proc/{node.pid}/maps", encoding="ascii") as maps:
            self.assertIn("libucp", maps.read())

    def test_nothing_is_left_of_a_consumer(self):
        node, at = self.node()
        before, shared = descriptors(node), set(os.listdir("/dev/shm"))
        for _ in range(3):
            consumer = self.consumer(at)
            self.assertTrue(memory_of(consumer))
            self.assertTrue(all(" r--s " in line for line in memory_of(consumer) if " " in line and "-" in line))
            consumer.send_signal(signal.SIGKILL)
            consumer.wait()
        self.assertTrue(wait_for(lambda: not memory_of(node)), memory_of(node))
        self.assertTrue(wait_for(lambda: descriptors(node) <= before), "descriptors stay open")
        self.assertEqual(set(os.listdir("/dev/shm")) - shared, set())
        self.consumer(at)  # as if nothing had been
        self.assertIsNone(node.poll())

    def test_nothing_is_left_of_a_node(self):
        shared = set(os.listdir("/dev/shm"))
        node, at = self.node()
        consumer = self.consumer(at)
        node.send_signal(signal.SIGKILL)
        node.wait()
        self.assertEqual(consumer.wait(20), 5)
        self.assertIn("the other end has gone", consumer.stderr.read())
        self.assertEqual(set(os.listdir("/dev/shm")) - shared, set())
        with open("/proc/net/unix", encoding="ascii") as sockets:
            self.assertNotIn(f"@opiml-{at}", sockets.read())

    @needs_ucx
    def test_nothing_is_left_of_a_consumer_over_ucx(self):
        node, at = self.node("--ucx")
        self.opiml("feed", "p.yaml", "--insist", "--node", at, "--cut", "1", "--link", "ucx")
        (before, running), shared = at_rest(node), set(os.listdir("/dev/shm"))
        for _ in range(3):
            consumer = self.consumer(at, "ucx")
            self.assertGreater(threads(node), running)
            consumer.send_signal(signal.SIGKILL)
            consumer.wait()
            self.assertTrue(wait_for(lambda: descriptors(node) <= before and threads(node) <= running, GONE_S + 6),
                            f"{descriptors(node)} descriptors of {before}, {threads(node)} threads of {running}")
        self.assertEqual(set(os.listdir("/dev/shm")) - shared, set())
        self.consumer(at, "ucx")  # as if nothing had been
        self.assertIsNone(node.poll())

    @needs_ucx
    def test_a_node_that_dies_is_noticed_over_ucx(self):
        node, at = self.node("--ucx")
        consumer = self.consumer(at, "ucx")
        node.send_signal(signal.SIGKILL)
        node.wait()
        self.assertEqual(consumer.wait(GONE_S), 5)
        self.assertIn("the other end has gone", consumer.stderr.read())

    @needs_ucx
    def test_what_ucx_says_is_not_in_the_report(self):
        node, at = self.node("--ucx")
        run = self.opiml("feed", "p.yaml", "--insist", "--node", at, "--cut", "1", "--link", "ucx", "--json",
                         env={**os.environ, "UCX_LOG_LEVEL": "info", "UCX_NO_SUCH_SETTING": "1"})
        self.assertEqual(json.loads(run.stdout)["samples"], 64)
        self.assertIsNone(node.poll())

    @needs_ucx
    def test_ways_that_do_not_meet(self):
        """Each end has a transport that the other one lacks: the consumer says so, and ends."""
        _, at = self.node("--ucx")
        run = self.run_opiml("feed", "p.yaml", "--insist", "--node", at, "--cut", "1", "--link", "ucx",
                             env={**os.environ, "UCX_TLS": "self"})
        self.assertEqual(run.returncode, 5, run.stderr)
        self.assertRegex(run.stderr, "UCX: .*[Uu]nreachable")

    def test_ucx_is_for_nodes_that_were_told_to(self):
        _, at = self.node()
        run = self.run_opiml("feed", "p.yaml", "--insist", "--node", at, "--cut", "1", "--link", "ucx")
        self.assertEqual(run.returncode, 9, run.stderr)
        self.assertIn("the node offers no UCX: it has to be started with --ucx", run.stderr)

    def test_without_the_library(self):
        """A file that is no library stands in front of it."""
        self.write("empty/libucp.so.0", b"")
        run = self.run_opiml("node", "start", "--listen", "127.0.0.1:0", "--data", "127.0.0.1:0", "--ucx",
                             env={**os.environ, "LD_LIBRARY_PATH": self.path("empty")})
        self.assertEqual(run.returncode, 9, run.stderr)
        self.assertIn("libucp.so.0 is missing (Debian: libucx0)" if BUILT["UCX"] == "yes" else "libucx-dev", run.stderr)
        self.assertEqual(run.stdout, "")

    @needs_ucx
    def test_a_stopped_consumer_holds_the_node_over_ucx(self):
        self.stopped_consumer("ucx", "--ucx")

    def test_a_stopped_consumer_holds_the_node(self):
        self.stopped_consumer("shm")

    def stopped_consumer(self, link, *options):
        """Back-pressure: a consumer that does not read costs the node its places, and no more."""
        node, at = self.node(*options)
        consumer = self.consumer(at, link)
        consumer.send_signal(signal.SIGSTOP)
        time.sleep(0.3)

        def busy():
            with open(f"/proc/{node.pid}/stat", encoding="ascii") as file:
                return sum(int(word) for word in file.read().rsplit(")", 1)[1].split()[11:13])
        first = busy()
        time.sleep(0.5)
        self.assertLessEqual(busy() - first, 5)  # of some 50 ticks
        consumer.send_signal(signal.SIGCONT)
        self.assertTrue(wait_for(lambda: os.path.exists(self.path("state"))))

    def apart(self, flags, ucx=""):
        """Two network namespaces of one machine: digests, and what was said on standard error."""
        run = subprocess.run(["unshare", flags, "sh", "-c", APART], cwd=self.folder, capture_output=True, text=True,
                             check=False, timeout=60, env={**os.environ, "OPIML": OPIML, "UCX": ucx})
        if run.returncode == 77 or "unshare failed" in run.stderr:  # in a chroot, for one
            self.skipTest("no network namespaces for this user, or no ip: " + run.stderr)
        digests = [line.split()[-1] for line in run.stdout.splitlines() if "digest" in line]
        self.assertEqual(len(digests), 2, run.stdout + run.stderr)
        self.assertEqual(digests[0], digests[1], run.stderr)
        return run.stderr

    def test_elsewhere_it_is_tcp(self):
        """The node is here, and its socket is out of sight."""
        self.assertIn("same network namespace", self.apart("-rn"))

    @needs_ucx
    def test_elsewhere_over_ucx(self):
        self.assertEqual(self.apart("-rnm", "--ucx"), "")

    def test_links_that_there_are(self):
        run = self.run_opiml("feed", "p.yaml", "--link", "udp", "--node", "127.0.0.1:1")
        self.assertEqual(run.returncode, 2)
        self.assertIn("auto|tcp|shm|ucx", run.stderr)


if __name__ == "__main__":
    unittest.main()
