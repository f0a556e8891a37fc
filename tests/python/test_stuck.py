"""A node that is connected and says nothing: it is noticed, and one that is only slow is not taken for it."""
import json
import os
import signal
import subprocess
import time

from helper import Case, unittest

OPIML = os.environ["OPIML"]

PICTURES = """
opiml: 1
kind: pipeline
seed: 3
dataset: {uri: data/train, format: image-folder}
shuffle: {mode: global}
ops:
  - decode: {}
  - random_resized_crop: {size: [24, 24]}
  - normalize: {to: f32}
batch: {size: 32}
"""
EPOCHS = 200


class Stuck(Case):
    def setUp(self):
        super().setUp()
        self.opiml("data", "make", "images", "--out", "data", "--count", "300", "--test", "0", "--size", "32")
        self.write("p.yaml", PICTURES)

    def start(self, *options):
        return self.start_node("--roots", self.folder, "--state", "none", *options)

    def feed(self, at, *options):
        run = subprocess.Popen([OPIML, "feed", "p.yaml", "--digest", "--json", "--state", "state", "--node", at, "--cut", "2",
                                "--node-deadline", "3", *options], cwd=self.folder, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
        self.addCleanup(run.stdout.close)
        self.addCleanup(run.stderr.close)
        self.addCleanup(run.wait)
        self.addCleanup(run.kill)
        return run

    def wait_for_batches(self, run):
        while not os.path.exists(self.path("state")) and run.poll() is None:
            time.sleep(0.002)

    def digest(self, *options):
        return json.loads(self.opiml("feed", "p.yaml", "--digest", "--json", *options).stdout)["digest"]

    def end(self, run, seconds=120):
        said = run.communicate(timeout=seconds)
        return run.returncode, json.loads(said[0]), said[1]

    def test_a_stuck_node_is_lost(self):
        here = self.digest("--epochs", str(EPOCHS))
        for link in ("tcp", "shm"):
            process, at = self.start()
            # All its memory is used up first where it is fast: a rate keeps it at work.
            run = self.feed(at, "--epochs", str(EPOCHS), "--link", link)
            self.wait_for_batches(run)
            self.assertIsNone(run.poll(), "it has ended already")
            began = time.monotonic()
            process.send_signal(signal.SIGSTOP)
            status, report, said = self.end(run)
            self.assertEqual(status, 0, said)
            self.assertEqual(report["digest"], here)
            self.assertIn("nothing has come for 3 s", said)
            self.assertIn("all operators run here from now on", said)
            self.assertGreater(time.monotonic() - began, 2.9)
            process.send_signal(signal.SIGCONT)
            os.unlink(self.path("state"))

    def test_who_insists_is_told(self):
        process, at = self.start()
        run = self.feed(at, "--epochs", str(EPOCHS), "--insist")
        self.wait_for_batches(run)
        process.send_signal(signal.SIGSTOP)
        said = run.communicate(timeout=60)[1]
        self.assertEqual(run.returncode, 8, said)
        self.assertIn("the other end is stuck, or cut off", said)

    def test_a_short_stop_is_waited_for(self):
        here = self.digest("--epochs", str(EPOCHS))
        process, at = self.start()
        run = self.feed(at, "--epochs", str(EPOCHS), "--insist", "--node-deadline", "60")
        self.wait_for_batches(run)
        process.send_signal(signal.SIGSTOP)
        time.sleep(1)
        process.send_signal(signal.SIGCONT)
        status, report, said = self.end(run)
        self.assertEqual((status, report["digest"]), (0, here), said)

    def test_a_consumer_that_was_stopped_blames_nobody(self):
        here = self.digest("--epochs", str(EPOCHS))
        for link in ("tcp", "shm"):
            _, at = self.start()
            run = self.feed(at, "--epochs", str(EPOCHS), "--insist", "--link", link)
            self.wait_for_batches(run)
            run.send_signal(signal.SIGSTOP)
            time.sleep(5)
            run.send_signal(signal.SIGCONT)
            status, report, said = self.end(run)
            self.assertEqual((status, report["digest"]), (0, here), said)
            os.unlink(self.path("state"))

    def test_a_slow_node_is_not_a_stuck_one(self):
        """A batch that takes longer than the deadline, since its job may send no more."""
        self.write("p.yaml", PICTURES.replace("size: 32", "size: 300"))
        here = self.digest("--epochs", "3")
        for link in ("tcp", "shm"):
            _, at = self.start("--job-rate", "600KiB")  # 2 MB a batch, the first third of which goes at once
            run = self.feed(at, "--epochs", "3", "--insist", "--link", link)
            status, report, said = self.end(run)
            self.assertEqual((status, report["digest"]), (0, here), said)
            os.unlink(self.path("state"))


if __name__ == "__main__":
    unittest.main()
