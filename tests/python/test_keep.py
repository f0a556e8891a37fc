"""What a node keeps, as its clients see it: it comes back after kill -9, and says why when it cannot."""
import json
import os
import signal
import sqlite3
import subprocess
import threading
import time

from helper import PEERS, ROWS, Case, needs_peers, unittest

OPIML = os.environ["OPIML"]
HERE = os.path.dirname(os.path.abspath(__file__))

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


class Objects:
    """Calls of one node."""

    def __init__(self, case, at):
        self.process = subprocess.Popen([PEERS, os.path.join(HERE, "node_objects.py"), at], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        case.addCleanup(self.process.stdout.close)
        case.addCleanup(self.process.wait)
        case.addCleanup(self.process.stdin.close)

    def ask(self, service, method, **request):
        try:
            print(json.dumps({"service": service, "method": method, "request": request}), file=self.process.stdin,
                  flush=True)
            return json.loads(self.process.stdout.readline())
        except (BrokenPipeError, json.JSONDecodeError):
            return {"code": "UNAVAILABLE", "text": "the caller has ended"}

    def create(self, name, mapping, file):
        return self.ask("DatasetService", "CreateDataset", datasetId=name, dataset={"mapping": mapping, "file": file})


class Keep(Case):
    def setUp(self):
        super().setUp()
        self.opiml("data", "make", "images", "--out", "data", "--count", "300", "--test", "0", "--size", "32")
        self.write("p.yaml", PICTURES)
        self.mapping = f"{{uri: {self.path('data', 'train')}, format: image-folder}}"

    def start(self, *options, listen="127.0.0.1:0", data="127.0.0.1:0"):
        return self.start_node("--listen", listen, "--data", data, "--roots", self.folder, "--state", "kept", *options,
                               stderr=subprocess.PIPE)

    def kill(self, process):
        process.kill()
        process.wait()

    def status(self, at):
        return json.loads(self.opiml("node", "status", "--node", at, "--json", "--interval", "0.01").stdout)

    def wait_status(self, at, condition):
        until = time.monotonic() + 20
        while not condition(now := self.status(at)):
            self.assertLess(time.monotonic(), until, now)
            time.sleep(0.02)
        return now

    @needs_peers
    def test_data_sets_with_names_come_back(self):
        process, at = self.start()
        objects = Objects(self, at)
        there = objects.create("photos", self.mapping, "/w/p.yaml")["reply"]
        self.assertEqual(there["state"], "STATE_OPEN")
        self.assertIn("reply", objects.create("later", self.mapping, "/w/q.yaml"))
        self.assertIn("reply", objects.create("gone", self.mapping, "/w/r.yaml"))
        self.assertIn("reply", objects.ask("DatasetService", "DeleteDataset", name="datasets/gone"))
        self.kill(process)

        process, at = self.start()
        now = self.wait_status(at, lambda now: all(one["open"] for one in now["dataset"]))
        self.assertEqual([one["name"] for one in now["dataset"]], ["datasets/later", "datasets/photos"])
        objects = Objects(self, at)
        again = objects.ask("DatasetService", "GetDataset", name="datasets/photos")["reply"]
        self.assertEqual(again, there)
        self.kill(process)

        # One whose data are away stays, and says why.
        os.rename(self.path("data"), self.path("away"))
        process, at = self.start()
        now = self.wait_status(at, lambda now: all(one["failure"] for one in now["dataset"]))
        self.assertIn("No such file", now["dataset"][0]["failure"])
        objects = Objects(self, at)
        self.assertEqual(objects.ask("DatasetService", "GetDataset", name="datasets/photos")["reply"]["state"],
                         "STATE_FAILED")
        self.assertIn("not open", self.opiml("node", "status", "--node", at).stdout)

    @needs_peers
    def test_what_was_acknowledged_outlives_a_kill(self):
        for round_ in range(5):
            process, at = self.start()
            objects = Objects(self, at)
            acknowledged = []
            for number in range(10000):
                name = f"d-{round_}-{number % 8}"
                answer = objects.create(name, self.mapping, "/w/p.yaml")
                if "reply" not in answer:
                    break
                acknowledged.append(f"datasets/{name}")
                if number == 0:
                    threading.Timer(0.1 + 0.03 * round_, process.kill).start()
            process.wait()
            self.assertTrue(acknowledged)
            process, at = self.start()
            names = {one["name"] for one in self.status(at)["dataset"]}
            self.assertLessEqual(set(acknowledged), names)
            self.kill(process)

    def feed(self, at, cut=2):
        run = subprocess.Popen([OPIML, "feed", "p.yaml", "--epochs", "0", "--node", at, "--cut", str(cut)],
                               cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(run.stderr.close)
        self.addCleanup(run.wait)
        self.addCleanup(run.kill)
        return run

    def test_a_feed_goes_on_when_its_node_comes_back(self):
        process, at = self.start()
        run = self.feed(at)
        before = self.wait_status(at, lambda now: any(p["batches"] for p in now["pipeline"]))["pipeline"][0]
        self.kill(process)
        process, at = self.start(listen=at)
        # Nobody could ask for it again: it had no name of its client's.
        self.assertEqual(self.status(at)["pipeline"], [])
        self.assertIsNone(run.poll())  # it goes on
        run.send_signal(signal.SIGINT)
        run.wait(20)
        run = self.feed(at)
        after = self.wait_status(at, lambda now: any(p["batches"] for p in now["pipeline"]))["pipeline"][0]
        self.assertGreater(after["generation"], before["generation"])
        run.send_signal(signal.SIGINT)
        run.wait(20)
        self.wait_status(at, lambda now: not now["pipeline"])
        process.terminate()
        self.assertEqual(process.wait(10), 0)

    @needs_peers
    def test_neighbours_in_a_table_go_together(self):
        self.rows(200000)
        self.write("p.yaml", ROWS.replace("shuffle: {mode: global}\n", "").replace("size: 16", "size: 1024"))
        _, at = self.start()
        run = self.feed(at, cut=0)
        name = self.wait_status(at, lambda now: now["pipeline"])["pipeline"][0]["name"]
        share = Objects(self, at).ask("PipelineService", "GetPipeline", name=name)["reply"]["share"]
        self.assertEqual({one["together"] for one in share}, {128})  # an eighth of a batch
        run.send_signal(signal.SIGINT)
        run.wait(20)

    @needs_peers
    def test_a_pipeline_is_taken_up_by_its_name(self):
        process, at = self.start()
        objects = Objects(self, at)
        run = self.feed(at)
        name = self.wait_status(at, lambda now: now["pipeline"])["pipeline"][0]["name"]
        wanted = objects.ask("PipelineService", "GetPipeline", name=name)["reply"]
        run.send_signal(signal.SIGINT)
        run.wait(20)
        made = objects.ask("PipelineService", "CreatePipeline", pipelineId="mine", pipeline=wanted)["reply"]
        self.kill(process)

        process, at = self.start()
        objects = Objects(self, at)
        found = objects.ask("PipelineService", "GetPipeline", name="pipelines/mine")["reply"]
        self.assertEqual((found["job"], found["text"]), (made["job"], PICTURES))
        self.assertNotIn("ticket", found)
        other = objects.ask("PipelineService", "CreatePipeline", pipelineId="mine",
                            pipeline={**wanted, "batches": "1"})
        self.assertEqual(other["code"], "ALREADY_EXISTS", other)
        again = objects.ask("PipelineService", "CreatePipeline", pipelineId="mine", pipeline=wanted)["reply"]
        self.assertEqual(again["name"], "pipelines/mine")
        self.assertNotEqual(again["ticket"], made["ticket"])
        self.assertGreater(again["generation"], found["generation"])
        self.assertGreater(found["generation"], made["generation"])
        self.assertIn("reply", objects.ask("PipelineService", "DeletePipeline", name="pipelines/mine"))
        self.assertEqual(self.status(at)["pipeline"], [])

    def refused(self, *options, status, **more):
        run = self.run_opiml("node", "start", "--listen", "127.0.0.1:0", "--data", "127.0.0.1:0", "--metrics", "off",
                             *options, timeout=20, **more)
        self.assertEqual(run.returncode, status, run.stderr)
        return run.stderr

    def test_what_cannot_be_kept_is_told(self):
        process, at = self.start()
        self.assertIn("another node's", self.refused("--state", "kept", status=8))
        self.kill(process)
        database = self.path("kept", "node.db")
        with open(database, "rb") as file:
            whole = file.read()
        db = sqlite3.connect(database)
        db.execute("PRAGMA user_version = 1000")
        db.close()
        self.assertIn("newer opiml", self.refused("--state", "kept", status=6))
        with open(database, "wb") as file:
            file.write(b"noise" * 100)
        self.assertIn("move it away", self.refused("--state", "kept", status=6))
        with open(database, "wb") as file:
            file.write(whole)
        process, at = self.start()
        self.kill(process)
        self.write("file", "")
        self.assertIn("--state none", self.refused("--state", "file/below", status=3))

    def in_namespace(self, script):
        """A shell with file systems of its own."""
        run = subprocess.run(["unshare", "--mount", "--map-root-user", "bash", "-c", script], cwd=self.folder,
                             capture_output=True, text=True, timeout=60, env={**os.environ, "OPIML": OPIML})
        if "unshare" in run.stderr or run.returncode == 77:
            self.skipTest(f"no mount namespace here: {run.stderr.strip()}")
        return run

    def test_a_folder_that_is_read_only(self):
        os.makedirs(self.path("kept"))
        run = self.in_namespace('mount -t tmpfs -o ro none kept || exit 77; exec "$OPIML" node start --listen '
                                '127.0.0.1:0 --data 127.0.0.1:0 --metrics off --state kept')
        self.assertEqual(run.returncode, 4, run.stderr)
        self.assertIn("Read-only file system", run.stderr)
        self.assertIn("--state names another folder", run.stderr)

    def test_a_disk_that_is_full(self):
        os.makedirs(self.path("kept"))
        run = self.in_namespace("""
            mount -t tmpfs -o size=200k none kept || exit 77
            "$OPIML" node start --listen 127.0.0.1:0 --data 127.0.0.1:0 --metrics off --roots . --state kept >out 2>err &
            while ! [ -s out ]; do sleep 0.02; done
            head -c 1000000 /dev/zero >kept/filler 2>/dev/null
            at=$(awk '{ print $NF; exit }' out)
            "$OPIML" feed p.yaml --digest --json --cut 2 --node $at --insist --epochs 3
            status=$?
            rm kept/filler
            "$OPIML" feed p.yaml --digest --cut 2 --node $at --insist >/dev/null || exit 5
            kill $!; wait $!
            cat err >&2
            exit $status""")
        # A consumer's pipeline, which has no name, runs all the same.
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(json.loads(run.stdout)["samples"], 900)

    def test_a_second_node_goes_without(self):
        self.set("XDG_STATE_HOME", self.path("usual"))
        nodes = [self.start_node(stderr=subprocess.PIPE)[0] for _ in range(2)]
        for process in nodes:
            process.terminate()
        self.assertEqual([process.wait(10) for process in nodes], [0, 0])
        self.assertIn("nothing is kept", nodes[1].stderr.read())
        self.assertEqual(nodes[0].stderr.read(), "")
        self.assertIn("node.db", os.listdir(self.path("usual", "opiml")))


if __name__ == "__main__":
    unittest.main()
