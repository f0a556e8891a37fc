"""opiml bench: comparisons that a user runs on their own machines."""
import json
import os
import signal
import subprocess
import time

from helper import Case, unittest

PIPELINE = """
opiml: 1
kind: pipeline
seed: 3
dataset: {uri: "%s", format: image-folder}
shuffle: {mode: global}
ops:
  - decode: {}
  - random_resized_crop: {size: [24, 24]}
  - random_flip: {p: 0.5}
batch: {size: 32}
"""
SHORT = ("--pairs", "2", "--seconds", "0.05")


class Placement(Case):
    def setUp(self):
        super().setUp()
        self.opiml("data", "make", "images", "--out", "data", "--count", "300", "--test", "0", "--size", "32")
        self.data = self.path("data", "train")
        self.write("p.yaml", PIPELINE % self.data)

    def compare(self, *options, status=0):
        run = self.run_opiml("bench", "placement", "p.yaml", *SHORT, "--json", *options)
        self.assertEqual(run.returncode, status, run.stderr)
        return json.loads(run.stdout)

    def test_every_placement_and_the_plan(self):
        _, at = self.start_node("--roots", self.data)
        said = self.compare("--node", at)
        names = ["all here", *(f"cut {cut} on {at}" for cut in range(3))]
        self.assertEqual([way["name"] for way in said["fixed"]], names)
        best = max(said["fixed"], key=lambda way: way["rows_per_s"])
        self.assertEqual((said["best"], said["pairs"], said["plan"]["why"]), (best["name"], 2, None))
        for way in (*said["fixed"], said["plan"]):
            self.assertGreater(way["rows_per_s"], 0)
            self.assertGreater(way["row_cpu_us"], 0)
        # What came: stored pictures, or crops of 24 x 24 pixels with a frame's rest.
        stored = [os.path.getsize(os.path.join(folder, name)) for folder, _, files in os.walk(self.data) for name in files]
        here, cut = said["fixed"][0]["row_bytes"], said["fixed"][-1]["row_bytes"]
        self.assertAlmostEqual(here, sum(stored) / len(stored), delta=0.1 * here)
        self.assertTrue(24 * 24 * 3 <= cut < 24 * 24 * 3 + 64, cut)
        for ratio in (said["of_best"], said["of_here"]):
            self.assertLessEqual(ratio["least"], ratio["median"])
            self.assertGreater(ratio["least"], 0)

    def test_text(self):
        _, a = self.start_node("--roots", self.data)
        _, b = self.start_node("--roots", self.data)
        lines = self.opiml("bench", "placement", "p.yaml", *SHORT, "--node", f"{a},{b}").stdout.splitlines()
        self.assertEqual(lines[0].split(), ["PLACEMENT", "rows/s", "bytes/row", "CPU", "here,", "µs"])
        self.assertEqual(sum(line.startswith(">") for line in lines), 1)
        for name in ("all here", f"cut 0 on {a}", f"cut 2 on {b}", "cut 2 on all 2 nodes", "the plan"):
            self.assertEqual(sum(line[2:].startswith(name + " ") for line in lines), 1, name)
        self.assertRegex(lines[-2], r"^the plan / the best fixed one +\d+\.\d+, at least \d+\.\d+ \(2 pairs\)$")

    def test_data_that_only_the_node_sees(self):
        self.write("p.yaml", PIPELINE % "file:///nowhere/here")
        _, at = self.start_node("--roots", self.data, "--alias", f"file:///nowhere/here={self.data}")
        said = self.compare("--node", at)
        self.assertIn("cannot be read here", said["fixed"][0]["why"])
        self.assertIsNone(said["fixed"][0]["rows_per_s"])
        self.assertIsNone(said["of_here"])
        self.assertIn(at, said["best"])

    def test_what_is_refused(self):
        run = self.run_opiml("bench", "placement", "p.yaml")
        self.assertEqual(run.returncode, 2)
        self.assertIn("--node", run.stderr)
        # A node that is not there can be compared with nothing.
        run = self.run_opiml("bench", "placement", "p.yaml", *SHORT, "--node", "127.0.0.1:1")
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("127.0.0.1:1", run.stderr)
        self.write("p.yaml", "place: local\n" + PIPELINE % self.data)
        run = self.run_opiml("bench", "placement", "p.yaml", *SHORT, "--node", "127.0.0.1:1")
        self.assertEqual(run.returncode, 2)
        self.assertIn("place: local", run.stderr)

    def test_an_interruption_ends_it(self):
        _, at = self.start_node("--roots", self.data)
        process = subprocess.Popen([os.environ["OPIML"], "bench", "placement", "p.yaml", "--seconds", "60", "--node", at],
                                   cwd=self.folder, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        self.assertIn("SIGINT", process.communicate(timeout=20)[1])
        self.assertEqual(process.returncode, 8)


if __name__ == "__main__":
    unittest.main()
