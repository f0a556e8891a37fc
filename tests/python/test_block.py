"""Data sets on raw devices: loop devices where this may make them, else a file that stands for one."""
import json
import os
import shutil
import subprocess

from helper import Case, unittest

PIPELINE = """
opiml: 1
kind: pipeline
seed: 3
dataset: {uri: '%s', format: %s, direct: %s}
shuffle: {mode: global}
ops: [{decode: {}}, {resize: {size: [16, 16]}}]
batch: {size: 10}
"""


class Block(Case):
    def setUp(self):
        super().setUp()
        self.opiml("data", "make", "images", "--count", "120", "--test", "0", "--size", "32", "--out", "images")
        self.opiml("data", "make", "images", "--count", "120", "--test", "0", "--size", "32", "--format", "webdataset",
                   "--out", "tars")
        self.write("device", b"")
        os.truncate(self.path("device"), 8 << 20)

    def loop(self):
        """A loop device over the file, detached at the end."""
        if os.getuid() != 0 or not os.path.exists("/dev/loop-control") or not shutil.which("losetup"):
            self.skipTest("loop devices take root, /dev/loop-control and losetup")
        made = subprocess.run(["losetup", "--find", "--show", self.path("device")], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
        if made.returncode != 0:
            self.skipTest("no loop device may be made here: " + made.stderr.strip())
        device = made.stdout.strip()
        self.addCleanup(subprocess.run, ["losetup", "--detach", device], check=True)
        return device

    def digest(self, uri, form, direct="false"):
        self.write("p.yaml", PIPELINE % (uri, form, direct))
        return json.loads(self.opiml("feed", "p.yaml", "--digest", "--json").stdout)["digest"]

    def check(self, device):
        uri = "block://" + device
        for folder, form in ("images/train", "image-folder"), ("tars/train", "webdataset"):
            report = json.loads(self.opiml("data", "lay", folder, uri, "--overwrite", "--json").stdout)
            self.assertGreater(report["objects"], 0)
            for direct in "false", "true":
                self.assertEqual(self.digest(uri, form, direct), self.digest(folder, form))
        self.opiml("data", "lay", "--check", uri)
        refused = self.run_opiml("data", "lay", "images/train", uri)
        self.assertEqual(refused.returncode, 3)
        self.assertIn("--overwrite destroys it", refused.stderr)

    def test_a_file_for_a_device(self):
        self.check(self.path("device"))

    def test_loop_device(self):
        self.check(self.loop())

    def test_of_a_sample_the_others_are_not_read(self):
        """Counted by the kernel: less is read, and the same comes as of files."""
        uri = "block://" + self.path("device")
        self.opiml("data", "make", "images", "--count", "200", "--test", "0", "--size", "128", "--format",
                   "webdataset", "--out", "large")
        self.opiml("data", "lay", "large/train", uri, "--overwrite")
        env = {**os.environ, "OPIML_IO": "pread"}
        read = {}
        for place in uri, "large/train":
            for fraction in 1, 0.02:
                self.write("p.yaml", PIPELINE.replace("ops: [", "ops: [{sample: {fraction: %g}}, " % fraction)
                           % (place, "webdataset", "false"))
                for _ in "index", "records":
                    before = self.read_bytes()
                    report = json.loads(self.opiml("feed", "p.yaml", "--digest", "--json", env=env).stdout)
                    read[place, fraction] = report["digest"], report["bytes_read"], self.read_bytes() - before
                self.assertEqual(report["samples"], 200 * fraction)
        for fraction in 1, 0.02:
            self.assertEqual(read[uri, fraction][:2], read["large/train", fraction][:2])
        for place in uri, "large/train":
            _, whole, counted_whole = read[place, 1]
            _, some, counted_some = read[place, 0.02]
            self.assertLess(some, whole * 0.03)
            self.assertLess(counted_some, counted_whole - 0.9 * whole)

    @staticmethod
    def read_bytes():
        """By read calls of this process and of those that it waited for."""
        with open("/proc/self/io") as file:
            return int(file.readline().split()[1])

    def test_other_devices(self):
        self.write("p.yaml", PIPELINE % ("block://" + self.path("device"), "webdataset", "false"))
        empty = self.run_opiml("feed", "p.yaml")
        self.assertEqual(empty.returncode, 6)
        self.assertIn("nothing was laid here; see `opiml data lay`", empty.stderr)
        os.truncate(self.path("device"), 8192)
        full = self.run_opiml("data", "lay", "tars/train", self.path("device"))
        self.assertEqual(full.returncode, 5)
        self.assertIn("has 8192 bytes", full.stderr)
        self.assertEqual(self.run_opiml("data", "lay", "tars/train", "/dev/null").returncode, 2)
        self.assertEqual(self.run_opiml("data", "lay", "tars/train").returncode, 2)


if __name__ == "__main__":
    unittest.main()
