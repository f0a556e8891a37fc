"""opiml train --mllog and --dawnbench, judged by MLPerf's own compliance checker."""
import json
import os
import subprocess
from pathlib import Path

from helper import Case, needs_peers, unittest

PIPELINE = """
opiml: 1
kind: pipeline
seed: 7
dataset: {uri: data/%s}
shuffle: {mode: global}
ops:
  - decode: {}
  - resize: {size: [16, 16]}
  - normalize: {to: f32, layout: nchw}
batch: {size: 16}
"""
TRAIN = """
opiml: 1
kind: train
data: {train: train.yaml, eval: test.yaml}
model: {name: resnet, depth: 8, width: 4}
optimizer: {name: lars, lr: 1, trust: 0.02, weight_decay: 1.0e-4, accumulate: 2}
schedule: {epochs: 5}
eval_every: 2
target: %s
out: run
"""


class Mllog(Case):
    def train(self, target):
        self.opiml("data", "make", "images", "--out", "data", "--count", "40", "--test", "20",
                   "--size", "32", "--classes", "7", "--seed", "1")
        for part in "train", "test":
            self.write(part + ".yaml", PIPELINE % part)
        self.write("t.yaml", TRAIN % target)
        self.opiml("train", "t.yaml", "--mllog", "log", "--dawnbench", "table.tsv")
        with open(self.path("log")) as file:
            return [json.loads(line.removeprefix(":::MLLOG ")) for line in file]

    def test_events_are_in_order(self):
        events = self.train(0)
        keys = [(event["key"], event["metadata"].get("epoch_num")) for event in events]
        self.assertEqual(keys[0], ("init_start", None))
        start = keys.index(("run_start", None))
        epochs = [("epoch_start", "epoch_stop"), ("epoch_start", "epoch_stop", "eval_start",
                                                  "eval_accuracy", "eval_stop")]
        expected = []
        for epoch in range(1, 6):
            if epoch % 2 or epoch == 5:
                expected.append(("block_start", None))
            expected += [(key, epoch) for key in epochs[epoch % 2 == 0 or epoch == 5]]
            if epoch % 2 == 0 or epoch == 5:
                expected.append(("block_stop", None))
        self.assertEqual(keys[start + 1:], expected + [("run_stop", None)])
        self.assertEqual(events[-1]["metadata"]["status"], "success")
        values = {event["key"]: event["value"] for event in events}
        self.assertEqual((values["train_samples"], values["eval_samples"]), (40, 20))
        self.assertEqual((values["global_batch_size"], values["opt_name"]), (32, "lars"))
        times = [event["time_ms"] for event in events]
        self.assertEqual(times, sorted(times))
        with open(self.path("table.tsv")) as file:
            table = [line.rstrip("\n").split("\t") for line in file]
        self.assertEqual(table[0], ["epoch", "hours", "top1Accuracy", "top5Accuracy"])
        self.assertEqual([row[0] for row in table[1:]], ["2", "4", "5"])
        for row in table[1:]:
            self.assertLessEqual(float(row[2]), float(row[3]))

    def test_a_missed_target_is_no_success(self):
        self.assertEqual(self.train(1)[-1]["metadata"]["status"], "aborted")

    def logs(self):
        return [Path(self.path(name)).read_text() for name in ("log", "table.tsv")]

    def test_a_refused_run_leaves_logs_alone(self):
        self.train(0)
        before = self.logs()
        process = self.run_opiml("train", "t.yaml", "--mllog", "log", "--dawnbench", "table.tsv")
        self.assertNotEqual(process.returncode, 0)
        self.assertEqual(self.logs(), before)

    def test_a_full_disk_is_told(self):
        self.train(0)
        for option, what in ("--mllog", "MLPerf log"), ("--dawnbench", "table"):
            process = self.run_opiml("train", "t.yaml", "--overwrite", option, "/dev/full")
            self.assertEqual(process.returncode, 5, process.stderr)
            self.assertIn(what, process.stderr)
            self.assertIn("epoch   5/5", process.stdout)

    def test_a_full_disk_is_told_at_once_and_once(self):
        self.train(0)
        warning = "/dev/full: No space left on device: this log will lack lines; training goes on"
        for option, before in ("--mllog", "epoch   1/5"), ("--dawnbench", "epoch   2/5"):
            command = [os.environ["OPIML"], "train", "t.yaml", "--overwrite", option, "/dev/full"]
            process = subprocess.run(command, cwd=self.folder, text=True, stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, timeout=120)
            self.assertEqual(process.stdout.count(warning), 1, process.stdout)
            self.assertLess(process.stdout.index(warning), process.stdout.index(before))

    @needs_peers
    def test_the_compliance_checker_agrees(self):
        self.train(0)
        process = self.peer("mlperf_logging.compliance_checker", "--usage", "training",
                            "--ruleset", "4.0.0", "log")
        self.assertEqual(process.returncode, 0, process.stdout)
        self.assertIn("SUCCESS", process.stdout)


if __name__ == "__main__":
    unittest.main()
