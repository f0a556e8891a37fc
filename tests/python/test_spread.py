"""Data that are spread over nodes: each has some of the files, and the consumer sees none of them."""
import json
import os
import shutil
import subprocess
import time

from helper import Case, unittest

OPIML = os.environ["OPIML"]

PIPELINE = """
opiml: 1
kind: pipeline
seed: 3
dataset: {uri: "file:///spread/over/nodes", format: %s}
shuffle: {mode: global}
ops:
%s
batch: {size: 32}
"""
PICTURES = """  - decode: {}
  - random_resized_crop: {size: [24, 24]}
  - random_flip: {p: 0.5}
  - normalize: {to: f32}"""


class Spread(Case):
    def start(self, folder, *options):
        """A node that has the folder where the pipeline file says; its process and address."""
        return self.start_node("--roots", folder, "--alias", f"file:///spread/over/nodes={folder}", *options,
                               env={"XDG_CACHE_HOME": f"{folder}-cache"})

    def feed(self, *arguments, status=0):
        run = self.run_opiml("feed", "p.yaml", "--json", "--digest", *arguments)
        self.assertEqual(run.returncode, status, run.stderr)
        return json.loads(run.stdout)

    def spread(self, whole, of):
        """Copy each file of a folder to the nodes' folders that of(number, name) names; the folders."""
        files = sorted(os.path.relpath(os.path.join(folder, name), whole)
                       for folder, _, names in os.walk(whole) for name in names if not name.startswith("."))
        for number, name in enumerate(files):
            for node in of(number, name):
                to = self.path(node, name)
                os.makedirs(os.path.dirname(to), exist_ok=True)
                shutil.copy(os.path.join(whole, name), to)
        return [self.path(node) for node in "abc"]

    def pictures(self):
        """Pictures in one folder, the digest of two epochs, and the file of the same over nodes."""
        self.opiml("data", "make", "images", "--out", "data", "--count", "300", "--test", "0", "--size", "32")
        text = PIPELINE % ("image-folder", PICTURES)
        self.write("p.yaml", text.replace("file:///spread/over/nodes", self.path("data", "train")))
        here = self.feed("--epochs", "2")["digest"]
        self.write("p.yaml", text)
        return self.path("data", "train"), here

    def test_parts_and_replicas_give_what_one_folder_gives(self):
        whole, here = self.pictures()
        for of in (lambda n, name: "abc"[n % 3],  # disjoint, in all classes
                   lambda n, name: "abc"[len(name.split("/")[0]) % 3] + "abc"[n % 3],  # a class and more
                   lambda n, name: ("a", "bc", "abc", "b")[n % 4]):
            folders = self.spread(whole, of)
            nodes = [self.start(folder) for folder in folders]
            places = ",".join(at for _, at in nodes)
            for cut in ((), ("--cut", "1")):
                report = self.feed("--epochs", "2", "--insist", "--node", places, *cut)
                self.assertEqual((report["digest"], report["errors"], report["samples"]), (here, 0, 600))
            for process, _ in nodes:
                process.kill()
            for folder in folders:
                shutil.rmtree(folder)

    def test_the_plan_shows_who_holds_what_and_the_feed_follows_it(self):
        whole, here = self.pictures()
        folders = self.spread(whole, lambda n, name: ("a", "a", "b", "ab")[n % 4])
        nodes = [self.start(folder) for folder in folders[:2]]
        places = [at for _, at in nodes]
        run = self.opiml("plan", "p.yaml", "--node", ",".join(places), "--json")
        plan = json.loads(run.stdout)
        held = {tuple(one["nodes"]): round(one["share"], 3) for one in plan["spread"]}
        self.assertEqual(held, {(places[0],): 0.5, (places[1],): 0.25, tuple(places): 0.25})
        self.assertGreater(len(plan["plans"]), 1)
        share = {place: sum(part["share"] for part in plan["plans"][0]["parts"] if part["tier"] == place)
                 for place in places}
        self.assertAlmostEqual(sum(share.values()), 1, 4)  # none is made here
        self.assertGreaterEqual(share[places[0]], 0.499)
        self.assertGreaterEqual(share[places[1]], 0.249)
        said = self.opiml("plan", "p.yaml", "--node", ",".join(places)).stdout
        self.assertIn(f"50.0% of the records lie on {places[0]}\n", said)
        self.assertIn(f"25.0% of the records lie on {places[0]} and {places[1]}\n", said)
        report = self.feed("--epochs", "2", "--insist", "--node", ",".join(places))
        self.assertEqual((report["digest"], report["errors"], report["samples"]), (here, 0, 600))

    def kill_one(self, victim, *options):
        """Run 60 epochs, and kill a node once batches have come. Its status, what it said, and its report."""
        with subprocess.Popen([OPIML, "feed", "p.yaml", "--epochs", "60", "--digest", "--json", "--state", "state",
                               "--cut", "3", *options], cwd=self.folder, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as run:
            while not os.path.exists(self.path("state")) and run.poll() is None:
                time.sleep(0.002)
            victim.kill()
            said = run.communicate(timeout=60)
        return run.returncode, said[1], json.loads(said[0])

    def test_a_lost_replica_goes_on_and_a_lost_part_is_named(self):
        whole, _ = self.pictures()
        text = PIPELINE % ("image-folder", PICTURES)
        self.write("p.yaml", text.replace("file:///spread/over/nodes", whole))
        here = self.feed("--epochs", "60")["digest"]
        self.write("p.yaml", text)
        folders = self.spread(whole, lambda n, name: ("ab", "bc")[n % 2])  # b holds all, a and c a half
        nodes = [self.start(folder) for folder in folders]
        places = ",".join(at for _, at in nodes)
        status, said, report = self.kill_one(nodes[0][0], "--node", places)
        self.assertEqual((status, report["digest"]), (0, here), said)
        self.assertIn(nodes[0][1], said)
        os.unlink(self.path("state"))

        two = ",".join(at for _, at in nodes[1:])
        status, said, report = self.kill_one(nodes[1][0], "--node", two)
        if status != 0:  # it may have been faster than the signal
            self.assertEqual(status, 5, said)
            message = report["error"]["message"]
            self.assertIn(nodes[1][1], message)
            self.assertIn("150 of 300 records are out of reach", message)
            self.assertIn("--state", message)
        again = self.start(folders[1])[1]
        report = self.feed("--epochs", "60", "--state", "state", "--node", f"{again},{nodes[2][1]}")
        self.assertEqual(report["digest"], here)

    def test_nodes_that_disagree_are_named(self):
        whole, _ = self.pictures()
        folders = self.spread(whole, lambda n, name: "ab" if n % 2 else "bc")
        name = next(os.path.join(folder, names[0]) for folder, _, names in os.walk(folders[0]) if names)
        with open(name, "ab") as file:
            file.write(b"more")
        places = ",".join(self.start(folder)[1] for folder in folders)
        run = self.run_opiml("feed", "p.yaml", "--node", places)
        self.assertEqual(run.returncode, 6, run.stderr)
        self.assertIn(os.path.relpath(name, folders[0]), run.stderr)
        self.assertIn("is another file on node 127.0.0.1:", run.stderr)


if __name__ == "__main__":
    unittest.main()
