"""Processes killed with -9 at any moment, and begun again: consumers, and the nodes that make their rows. What
is delivered behind the last durable token is, in the end, the stream that nobody disturbed: the token carries
its digest, so that a row which was lost, or came twice, shows.

8 runs, 200 with OPIML_SOAK; OPIML_KILLS=N is run N alone, to look at it again. What is killed, and when, follows
from its number; what the processes were doing then does not."""
import json
import os
import random
import signal
import socket
import subprocess
import time

from helper import Case, unittest

OPIML = os.environ["OPIML"]
RUNS = 200 if os.environ.get("OPIML_SOAK") else 8
EPOCHS = 24

ROWS = """
opiml: 1
kind: pipeline
seed: 8
dataset: {uri: train.bin, format: raw, fields: ["image:u8:32x32x3", "label:i32"]}
shuffle: {mode: global}
ops:
  - filter: {where: "label != 3"}
  - random_crop: {size: [28, 28], pad: 2}
  - color_jitter: {}
  - normalize: {to: f32}
batch: {size: 40}
"""


def free_ports(count):
    """Ports that nobody has at the moment."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Place:
    """A node that can be killed, and comes back where it was."""

    def __init__(self, case):
        self.case, self.process = case, None
        self.port, self.data = free_ports(2)
        self.at = f"127.0.0.1:{self.port}"
        case.addCleanup(self.kill)
        self.start()

    def start(self):
        self.process = subprocess.Popen([OPIML, "node", "start", "--listen", self.at, "--data", f"127.0.0.1:{self.data}",
                                         "--metrics", "off", "--roots", self.case.folder], stdout=subprocess.PIPE,
                                        text=True)
        self.case.assertIn(self.at, self.process.stdout.readline())

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Kills(Case):
    def consumer(self, options):
        return subprocess.Popen([OPIML, "feed", "p.yaml", "--epochs", str(EPOCHS), "--digest", "--json", "--state",
                                 "state", *options], cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True)

    def options(self, draw, nodes):
        options = ["--node", ",".join(node.at for node in nodes), "--threads", str(draw.randint(1, 3)),
                   "--link", draw.choice(["auto", "tcp", "shm"]), "--stripes", str(draw.randint(1, 3))]
        if draw.random() < 0.7:
            options += ["--cut", str(draw.randint(0, 4))]
        return options + (["--insist"] if draw.random() < 0.3 else [])

    def disturb(self, draw, nodes, run):
        """Kill somebody soon; True when it was the consumer."""
        try:
            run.wait(draw.random() * 0.25)
            return False
        except subprocess.TimeoutExpired:
            pass
        if draw.random() < 0.4:
            run.kill()
            self.kills["consumers"] += 1
            return True
        node = draw.choice(nodes)
        node.kill()
        self.kills["nodes"] += 1
        time.sleep(draw.random() * 0.1)
        node.start()
        return False

    def one(self, number, nodes, want):
        draw = random.Random(number)
        some = nodes[:draw.randint(1, len(nodes))]
        kills, said = draw.randint(1, 5), []
        options = self.options(draw, some)
        run = self.consumer(options)
        deadline = time.monotonic() + 120
        while True:
            killed = kills > 0 and self.disturb(draw, some, run)
            kills -= 1
            if not killed and kills > 0 and run.poll() is None:
                continue
            out, err = run.communicate(timeout=max(1, deadline - time.monotonic()))
            said.append((run.returncode, err))
            if run.returncode == 0:
                break
            # Killed, or one that insisted: a node was gone.
            self.assertIn(run.returncode, (-signal.SIGKILL, 5) if "--insist" in options else (-signal.SIGKILL,),
                          (number, options, said))
            run = self.consumer(options)
        self.assertEqual(json.loads(out)["digest"], want, (number, options, said))
        os.unlink(self.path("state"))

    def test_nothing_is_lost_and_nothing_comes_twice(self):
        self.opiml("data", "make", "images", "--out", "data", "--count", "1500", "--format", "raw", "--size", "32")
        os.rename(self.path("data", "train.bin"), self.path("train.bin"))
        self.write("p.yaml", ROWS)
        whole = json.loads(self.opiml("feed", "p.yaml", "--epochs", str(EPOCHS), "--digest", "--json").stdout)
        nodes = [Place(self) for _ in range(3)]
        self.kills = {"consumers": 0, "nodes": 0}
        alone = os.environ.get("OPIML_KILLS")
        for number in [int(alone)] if alone else range(RUNS):
            self.one(number, nodes, whole["digest"])
        print("killed:", self.kills)
        if not alone:
            self.assertGreater(min(self.kills.values()), RUNS // 4)


if __name__ == "__main__":
    unittest.main()
