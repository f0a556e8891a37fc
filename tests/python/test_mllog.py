"""opiml train --mllog and --dawnbench, judged by MLPerf's own compliance checker."""
import json
import os
import subprocess
import time
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
threads: 1
data: {train: train.yaml, eval: test.yaml}
model: {name: resnet, depth: 8, width: 4}
optimizer: {name: lars, lr: 1, trust: 0.02, weight_decay: 1.0e-4, accumulate: 2}
schedule: {epochs: 5}
eval_every: 2
target: %s
out: run
"""
LOGS = "--mllog", "log", "--dawnbench", "table.tsv"


class Mllog(Case):
    def train(self, target):
        self.opiml("data", "make", "images", "--out", "data", "--count", "40", "--test", "20",
                   "--size", "32", "--classes", "7", "--seed", "1")
        for part in "train", "test":
            self.write(part + ".yaml", PIPELINE % part)
        self.write("t.yaml", TRAIN % target)
        self.opiml("train", "t.yaml", *LOGS)
        return self.events()

    def events(self):
        with open(self.path("log")) as file:
            return [json.loads(line.removeprefix(":::MLLOG ")) for line in file
                    if line.endswith("\n")]

    def table(self):
        with open(self.path("table.tsv")) as file:
            return [line.rstrip("\n").split("\t") for line in file]

    def check_events(self, events, epochs, evaluated):
        """One run of so many epochs, some of them with an evaluation, at whose end a block ends."""
        keys = [(event["key"], event["metadata"].get("epoch_num")) for event in events]
        self.assertEqual(keys[0], ("init_start", None))
        self.assertEqual(sum(key == "init_start" for key, _ in keys), 1)
        expected = []
        for epoch in range(1, epochs + 1):
            if epoch == 1 or epoch - 1 in evaluated:
                expected.append(("block_start", None))
            expected += [("epoch_start", epoch), ("epoch_stop", epoch)]
            if epoch in evaluated:
                expected += [("eval_start", epoch), ("eval_accuracy", epoch), ("eval_stop", epoch),
                             ("block_stop", None)]
        start = keys.index(("run_start", None))
        self.assertEqual(keys[start + 1:], expected + [("run_stop", None)])
        times = [event["time_ms"] for event in events]
        self.assertEqual(times, sorted(times))

    def check_table(self, evaluated):
        table = self.table()
        self.assertEqual(table[0], ["epoch", "hours", "top1Accuracy", "top5Accuracy"])
        self.assertEqual([int(row[0]) for row in table[1:]], evaluated)
        hours = [float(row[1]) for row in table[1:]]
        self.assertEqual(hours, sorted(hours))
        self.assertEqual(len(set(hours)), len(hours))

    def test_events_are_in_order(self):
        events = self.train(0)
        self.check_events(events, 5, [2, 4, 5])
        self.assertEqual(events[-1]["metadata"]["status"], "success")
        values = {event["key"]: event["value"] for event in events}
        self.assertEqual((values["train_samples"], values["eval_samples"]), (40, 20))
        self.assertEqual((values["global_batch_size"], values["opt_name"]), (32, "lars"))
        self.check_table([2, 4, 5])
        for row in self.table()[1:]:
            self.assertLessEqual(float(row[2]), float(row[3]))

    def test_a_missed_target_is_no_success(self):
        self.assertEqual(self.train(1)[-1]["metadata"]["status"], "aborted")

    def logs(self):
        return [Path(self.path(name)).read_text() for name in ("log", "table.tsv")]

    def test_a_refused_run_leaves_logs_alone(self):
        self.train(0)
        before = self.logs()
        process = self.run_opiml("train", "t.yaml", *LOGS)
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

    def resume(self, *options):
        """Returns what it says on standard error."""
        return self.opiml("train", "t.yaml", "--resume", *LOGS, *options).stderr

    def test_a_resumed_run_goes_on_with_its_logs(self):
        first = self.train(0)
        head = first[:[event["key"] for event in first].index("run_start") + 1]
        self.assertEqual(self.resume("--epochs", "8"), "")
        events = self.events()
        self.assertEqual(events[:len(first) - 1], first[:-1])  # all but the end of the run
        self.assertEqual(events[:len(head)], head)
        self.check_events(events, 8, [2, 4, 5, 6, 8])
        self.check_table([2, 4, 5, 6, 8])

    def test_what_is_trained_again_is_told_once(self):
        self.train(0)
        checkpoint = Path(self.path("run", "checkpoint.safetensors"))
        kept, table = checkpoint.read_bytes(), self.table()
        self.assertEqual(self.resume("--epochs", "8"), "")
        checkpoint.write_bytes(kept)  # as if the run had been killed then
        with open(self.path("log"), "a") as file:
            file.write(':::MLLOG {"key": "cut sho')
        self.assertEqual(self.resume("--epochs", "7"), "")
        self.check_events(self.events(), 7, [2, 4, 5, 6, 7])
        self.check_table([2, 4, 5, 6, 7])
        self.assertEqual(self.table()[:len(table)], table)

    def test_an_evaluation_that_was_cut_off_is_left_out(self):
        self.train(0)
        log, table = Path(self.path("log")), Path(self.path("table.tsv"))
        lines = log.read_text().splitlines(keepends=True)
        cut = [i for i, line in enumerate(lines) if '"eval_accuracy"' in line][-1]
        log.write_text("".join(lines[:cut]))
        table.write_text("".join(table.read_text().splitlines(keepends=True)[:-1]))
        self.assertEqual(self.resume("--epochs", "6"), "")
        self.check_events(self.events(), 6, [2, 4, 6])
        self.check_table([2, 4, 6])

    def begun(self):
        return sum(event["key"] == "epoch_start" for event in self.events())

    def stop(self, *options):
        """Stop the run after some epochs, and return the seconds that it took."""
        epochs = self.begun()
        command = [os.environ["OPIML"], "train", "t.yaml", "--json", *LOGS, *options]
        with subprocess.Popen(command, cwd=self.folder, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:
            time.sleep(1)
            while process.poll() is None and self.begun() <= epochs + 1:
                time.sleep(0.1)
            process.terminate()
            output, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 8, output)
        return json.loads(output)["elapsed_s"]

    def test_stopped_anywhere_it_stays_one_run(self):
        self.train(0)
        text = Path(self.path("t.yaml")).read_text()
        self.write("t.yaml", text.replace("eval_every: 2", "eval_every: 100000").replace(
            "{epochs: 5}", "{epochs: 100000}"))
        self.write("log", "")
        seconds = self.stop("--overwrite")
        for _ in range(2):
            time.sleep(1)  # which is not training
            seconds += self.stop("--resume")
        begun = self.begun()
        result = json.loads(self.opiml("train", "t.yaml", "--resume", "--json", *LOGS, "--epochs",
                                       str(begun + 2)).stdout)
        seconds += result["elapsed_s"]
        self.check_events(self.events(), begun + 2, [begun + 2])
        self.check_table([begun + 2])
        self.assertAlmostEqual(float(self.table()[1][1]) * 3600, seconds, delta=1)

    def test_a_run_that_is_done_leaves_its_logs_alone(self):
        self.train(0)
        before = self.logs()
        self.assertIn("done already: logs stay as they are", self.resume())
        self.assertEqual(self.logs(), before)

    def test_a_log_that_cannot_be_opened_costs_the_other_nothing(self):
        self.train(0)
        before = self.logs()
        process = self.run_opiml("train", "t.yaml", "--resume", "--epochs", "6", "--mllog", "log",
                                 "--dawnbench", "nowhere/table.tsv")
        self.assertEqual(process.returncode, 3, process.stderr)
        self.assertIn("nowhere/table.tsv", process.stderr)
        self.assertEqual(self.logs(), before)

    def test_a_log_whose_reader_goes_away_is_told(self):
        self.train(0)
        os.mkfifo(self.path("pipe"))
        reader = subprocess.Popen(["head", "-n", "1", self.path("pipe")], stdout=subprocess.DEVNULL)
        process = self.run_opiml("train", "t.yaml", "--overwrite", "--mllog", "pipe")
        reader.wait(timeout=60)
        self.assertEqual(process.returncode, 5, process.stderr)
        self.assertIn("this log will lack lines; training goes on", process.stderr)
        self.assertIn("epoch   5/5", process.stdout)

    def test_logs_of_another_run_begin_anew(self):
        self.train(0)
        text = Path(self.path("t.yaml")).read_text()
        self.write("t.yaml", text.replace("lr: 1,", "lr: 2,"))
        self.write("table.tsv", "epoch\thours\tdice\n1\t0.5\t50\n")
        told = self.resume("--epochs", "6")
        self.assertIn("log: of another run: its opt_base_learning_rate is 1.0, here it is 2.0: the "
                      "log begins anew", told)
        self.assertIn("table.tsv: no table of this run: ", told)
        epochs = [event["metadata"]["epoch_num"] for event in self.events()
                  if event["key"] == "epoch_start"]
        self.assertEqual((epochs, [row[0] for row in self.table()]), ([6], ["epoch", "6"]))
        for name in "log", "table.tsv":
            os.remove(self.path(name))
        told = self.resume("--epochs", "7")
        self.assertEqual(told.count("No such file or directory: the log begins anew"), 2, told)
        self.write("log", "notes\n")
        told = self.resume("--epochs", "8")
        self.assertIn("log: no MLPerf log of a run: the log begins anew", told)
        self.check_table([7, 8])

    @needs_peers
    def test_the_compliance_checker_agrees(self):
        self.train(0)
        for _ in range(2):
            process = self.peer("mlperf_logging.compliance_checker", "--usage", "training",
                                "--ruleset", "4.0.0", "log")
            self.assertEqual(process.returncode, 0, process.stdout)
            self.assertIn("SUCCESS", process.stdout)
            self.resume("--epochs", "8")


if __name__ == "__main__":
    unittest.main()
