"""Several trainers share a node: each has its part of the processors and of the memory. What they get is told by
the node's counters of CPU time and of rows, which a busy machine does not change."""
import json
import os
import signal
import subprocess
import time

from helper import Case, unittest

OPIML = os.environ["OPIML"]

# Two that cost what they cost: small pictures and larger ones.
PICTURES = """
opiml: 1
kind: pipeline
seed: 3
dataset: {{uri: {uri}, format: image-folder}}
shuffle: {{mode: global}}
ops:
  - decode: {{}}
  - random_resized_crop: {{size: [{size}, {size}]}}
  - normalize: {{to: f32}}
batch: {{size: {batch}}}
"""
FAIR = 0.15  # parts are within so much of what they should be
SECONDS = 1.5  # of CPU that are looked at


class Jobs(Case):
    def setUp(self):
        super().setUp()
        self.opiml("data", "make", "images", "--out", "small", "--count", "200", "--test", "0", "--size", "64")
        self.opiml("data", "make", "images", "--out", "large", "--count", "50", "--test", "0", "--size", "256")
        self.write("small.yaml", PICTURES.format(uri="small/train", size=48, batch=32))
        self.write("large.yaml", PICTURES.format(uri="large/train", size=96, batch=16))

    def start(self, *options):
        return self.start_node("--roots", self.folder, "--state", "none", *options)[1]

    def feed(self, at, job, *options, file="small.yaml"):
        run = subprocess.Popen([OPIML, "feed", file, "--epochs", "0", "--node", at, "--cut", "2", "--insist", "--job", job,
                                *options], cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(run.stderr.close)
        self.addCleanup(run.wait)
        self.addCleanup(run.kill)
        return run

    def status(self, at):
        return json.loads(self.opiml("node", "status", "--node", at, "--json", "--interval", "0.01").stdout)

    def look(self, at):
        """CPU seconds by job."""
        return {job["name"].partition("/")[2]: job["cpu_seconds"] for job in self.status(at)["job"]}

    def parts(self, at, runs):
        """Each job's part of the CPU time, over SECONDS of it from when all are at work."""
        until = time.monotonic() + 120
        before = {}
        while len(before) < len(runs) or min(before.values()) < 0.1:
            before = self.look(at)
            self.assertLess(time.monotonic(), until, before)
            self.assertTrue(all(run.poll() is None for run in runs))
            time.sleep(0.05)
        after = before
        while sum(after.values()) - sum(before.values()) < SECONDS:
            after = self.look(at)
            self.assertLess(time.monotonic(), until, after)
            time.sleep(0.05)
        for run in runs:
            run.send_signal(signal.SIGINT)
        used = {job: after[job] - before[job] for job in after}
        return {job: seconds / sum(used.values()) for job, seconds in used.items()}

    def assert_parts(self, found, wanted):
        for job, part in wanted.items():
            self.assertLess(abs(found[job] - part), FAIR * part, found)

    def test_two_jobs_have_a_half_each(self):
        at = self.start("--threads", "1")
        # However many pipelines one has, and whatever its rows cost.
        runs = [self.feed(at, "one"), self.feed(at, "two", file="large.yaml"), self.feed(at, "two"), self.feed(at, "two")]
        self.assert_parts(self.parts(at, runs[:2]), {"one": 1 / 2, "two": 1 / 2})

    def test_three_jobs_by_their_weights(self):
        at = self.start("--threads", "1", "--weights", "127.0.0.1/gold=2")
        runs = [self.feed(at, "one"), self.feed(at, "two", "--link", "tcp"), self.feed(at, "gold")]
        self.assert_parts(self.parts(at, runs), {"one": 1 / 4, "two": 1 / 4, "gold": 1 / 2})

    def test_rows_are_made_in_those_parts(self):
        at = self.start("--threads", "1", "--weights", "127.0.0.1/gold=3")
        runs = [self.feed(at, "one"), self.feed(at, "gold")]
        self.parts(at, runs)
        before = self.start_over(at)
        after = self.status(at)
        rows = {}
        while sum(job["cpu_seconds"] for job in after["job"]) < before["cpu"] + SECONDS:
            after = self.status(at)
        for pipeline in after["pipeline"]:
            rows[pipeline["name"]] = pipeline["rows"] - before["rows"][pipeline["name"]]
        few, many = sorted(rows.values())
        self.assertLess(abs(few / (few + many) - 1 / 4), FAIR / 4 * 2, rows)

    def start_over(self, at):
        """Two jobs at work anew, and what their counters are then."""
        self.feed(at, "one")
        self.feed(at, "gold")
        while True:
            now = self.status(at)
            at_work = [p for p in now["pipeline"] if p["state"] == "running" and p["rows"] > 1000]
            if len(at_work) == 2 and len(now["pipeline"]) == 2:
                return {"rows": {p["name"]: p["rows"] for p in at_work}, "cpu": sum(j["cpu_seconds"] for j in now["job"])}
            time.sleep(0.05)

    def test_who_is_alone_has_all(self):
        at = self.start("--threads", "1")
        lone = self.feed(at, "lone")
        self.assertEqual(self.parts(at, [lone]), {"lone": 1})

    def refused(self, at, job, *options):
        run = self.run_opiml("feed", "small.yaml", "--node", at, "--cut", "2", "--insist", "--job", job, *options)
        self.assertEqual(run.returncode, 7, run.stderr)
        return run.stderr

    def test_memory_is_refused_with_what_is_free(self):
        at = self.start("--memory", "256MiB", "--job-memory", "160MiB")
        first = self.feed(at, "one")
        until = time.monotonic() + 20
        while self.status(at)["budget"]["memory_taken_bytes"] == 0:
            self.assertLess(time.monotonic(), until)
        taken = self.status(at)["budget"]["memory_taken_bytes"]
        self.assertLessEqual(taken, 160 << 20)
        others = []
        said = ""
        for number in range(40):  # pools shrink as long as there is room
            others.append(self.feed(at, "one", "--limit", "100000000"))
            if self.wait_for_end(others[-1]):
                said = others[-1].stderr.read()
                break
        self.assertIn("this node has no memory for it", said)
        self.assertIn("160 MiB that job 127.0.0.1/one may have", said)
        self.assertIn("--job-memory", said)
        # Without --insist it runs here, and another job has room.
        run = self.run_opiml("feed", "small.yaml", "--node", at, "--cut", "2", "--job", "one")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("all operators run here", run.stderr)
        self.opiml("feed", "small.yaml", "--node", at, "--cut", "2", "--insist", "--job", "other")
        for run in (first, *others):
            run.send_signal(signal.SIGINT)
        self.assertLessEqual(self.status(at)["budget"]["memory_taken_bytes"], 256 << 20)

    def wait_for_end(self, run):
        """Whether it has been refused; else it is at work."""
        try:
            return run.wait(1) is not None
        except subprocess.TimeoutExpired:
            return False

    def test_a_rate_is_kept(self):
        at = self.start("--job-rate", "16MiB")
        began = time.monotonic()
        # 200 rows of 48 x 48 x 3 floats an epoch, and a second's worth goes at once.
        epochs = 15
        self.opiml("feed", "small.yaml", "--node", at, "--cut", "2", "--insist", "--epochs", str(epochs))
        self.assertGreater(time.monotonic() - began, 200 * 48 * 48 * 3 * 4 * epochs / (16 << 20) - 1.5)

    def test_what_makes_no_sense_is_refused(self):
        for options in (("--threads", "2", "--job-threads", "3"), ("--weights", "a=0"), ("--memory", "1MiB", "--job-memory", "2MiB")):
            run = self.run_opiml("node", "start", "--listen", "127.0.0.1:0", "--data", "127.0.0.1:0", "--metrics", "off", "--state",
                                 "none", *options, timeout=20)
            self.assertEqual(run.returncode, 2, run.stderr)
        at = self.start()
        run = self.run_opiml("feed", "small.yaml", "--node", at, "--cut", "2", "--insist", "--job", "no/name")
        self.assertEqual(run.returncode, 2, run.stderr)
        self.assertIn("no job's name", run.stderr)


if __name__ == "__main__":
    unittest.main()
