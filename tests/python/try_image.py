"""The node's image as podman runs it: not as root, with nothing to write, under the default seccomp profile.
Called by tools/try-image, which makes the image; OPIML_PODMAN is podman with its storage."""
import json
import os
import shutil
import socket
import subprocess
import time

from helper import Case, needs_peers, unittest

PODMAN = os.environ["OPIML_PODMAN"].split()
IMAGE = "opiml-node:" + os.environ["OPIML_VERSION"]
HERE = os.path.dirname(os.path.abspath(__file__))

# Limits of its own, since podman's are more than some machines' root may give.
LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024")

PICTURES = """
opiml: 1
kind: pipeline
seed: 3
dataset: {uri: data/train, format: image-folder}
shuffle: {mode: global}
ops:
  - decode: {}
  - random_resized_crop: {size: [24, 24]}
  - random_flip: {p: 0.5}
  - normalize: {to: f32}
batch: {size: 32}
"""


def podman(*arguments, check=True):
    return subprocess.run([*PODMAN, *arguments], check=check, capture_output=True, text=True, timeout=120).stdout.strip()


class Image(Case):
    def setUp(self):
        super().setUp()
        self.opiml("data", "make", "images", "--out", "data", "--count", "300", "--test", "0", "--size", "32")
        self.write("p.yaml", PICTURES)
        self.opiml("pki", "init", "site")
        self.opiml("pki", "issue", "site", "--name", "localhost,127.0.0.1", "--server")
        self.opiml("pki", "issue", "site", "--name", "trainer", "--client")
        os.makedirs(self.path("tls"))
        self.give("site")
        os.chmod(self.folder, 0o755)
        self.at = self.start()

    def give(self, site):
        """The node's certificates, as they are mounted; whole one after the other, as a Secret is not."""
        for source, name in (("localhost.key", "node.key"), ("localhost.crt", "node.crt"), ("ca.crt", "ca.crt")):
            new = self.path("tls", name + ".new")
            shutil.copy(self.path(site, source), new)
            os.chown(new, 0, 65532)
            os.chmod(new, 0o640)
            os.rename(new, self.path("tls", name))

    def start(self):
        """A node in a container, in a network of its own; host:port where it is published."""
        with socket.create_server(("127.0.0.1", 0)) as free:  # consumers are told the port that the node has
            data = free.getsockname()[1]
        # The data lie under the same path as here: this version's consumers look at them, too.
        self.node = podman(
            "run", "--detach", *LIMITS, "--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges", "--memory", "2g",
            "--tmpfs", "/var/cache/opiml:rw,size=64m,mode=1777", "--volume", f"{self.path('data')}:{self.path('data')}:ro",
            "--volume", f"{self.path('tls')}:/etc/opiml/tls:ro", "--publish", "127.0.0.1::50251",
            "--publish", f"127.0.0.1:{data}:{data}", IMAGE, "node", "start", "--listen=0.0.0.0:50251",
            f"--data=0.0.0.0:{data}", "--roots=" + self.path("data"), "--tls-cert=/etc/opiml/tls/node.crt", "--tls-key=/etc/opiml/tls/node.key",
            "--tls-ca=/etc/opiml/tls/ca.crt")
        self.addCleanup(podman, "rm", "--force", self.node, check=False)
        for _ in range(100):
            if "serving on" in podman("logs", self.node):
                break
            time.sleep(0.1)
        return podman("port", self.node, "50251/tcp")

    def options(self, site):
        return ("--tls-cert", self.path(site, "trainer.crt"), "--tls-key", self.path(site, "trainer.key"), "--tls-ca",
                self.path(site, "ca.crt"))

    def feed(self, *arguments):
        return json.loads(self.opiml("feed", "p.yaml", "--json", "--digest", *arguments).stdout)["digest"]

    def status(self):
        """/proc/PID/status of the node, by name."""
        pid = podman("inspect", "--format", "{{.State.Pid}}", self.node)
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)

    def test_it_is_confined(self):
        status = self.status()
        self.assertEqual(status["Uid"].split(), ["65532"] * 4)
        self.assertEqual(status["CapEff"], "0" * 16)
        self.assertEqual(status["CapBnd"], "0" * 16)
        self.assertEqual(status["NoNewPrivs"], "1")
        self.assertEqual(status["Seccomp"], "2")
        profile = podman("info", "--format", "{{.Host.Security.SECCOMPProfilePath}}")
        with open(profile, encoding="utf-8") as file:
            self.assertNotIn("io_uring", file.read())
        self.assertLessEqual(int(status["VmRSS"].split()[0]), 32 << 10)
        print(f"at rest {int(status['VmRSS'].split()[0]) / 1024:.1f} MiB")
        said = subprocess.run([*PODMAN, "exec", self.node, "sh", "-c", "echo > /file"], capture_output=True, text=True,
                              check=False)
        self.assertIn("Read-only file system", said.stderr)
        podman("stop", "--time", "10", self.node)
        self.assertEqual(podman("inspect", "--format", "{{.State.ExitCode}}", self.node), "0")

    @needs_peers
    def test_stock_clients(self):
        with open(os.path.join(HERE, "node_tls_peer.py"), encoding="utf-8") as file:
            peer = self.peer("-c", file.read(), self.at, *(self.path("site", name) for name in (
                "ca.crt", "trainer.crt", "trainer.key")))
        self.assertEqual(peer.returncode, 0, peer.stdout)
        found = json.loads(peer.stdout.splitlines()[-1])
        self.assertEqual(found["health"], 1)
        self.assertGreaterEqual(found["inventory"]["processor"]["totalThreads"], 1)

    def test_the_same_digest_and_new_certificates(self):
        here = self.feed()
        self.assertEqual(self.feed("--node", self.at, "--insist", *self.options("site")), here)
        self.opiml("pki", "init", "next")
        self.opiml("pki", "issue", "next", "--name", "localhost,127.0.0.1", "--server")
        self.opiml("pki", "issue", "next", "--name", "trainer", "--client")
        self.give("next")
        time.sleep(1.1)  # it looks at most once a second
        self.assertEqual(self.feed("--node", self.at, "--insist", *self.options("next")), here)
        run = self.run_opiml("feed", "p.yaml", "--node", self.at, "--insist", *self.options("site"))
        self.assertEqual(run.returncode, 4, run.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
