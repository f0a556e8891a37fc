"""The node daemon as its clients find it: gRPC's own packages list and call it without knowing it."""
import collections
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.request

from helper import ROWS, Case, needs_peers, unittest

OPIML = os.environ["OPIML"]

PROTO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "proto")

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


class Node(Case):
    def start(self, *options, env=None):
        """A node that keeps nothing: its process and address."""
        return self.start_node(*(() if "--state" in options else ("--state", "none")), *options, env=env)

    def rss(self, process):
        with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:")) / 1024

    @needs_peers
    def test_stock_clients(self):
        process, at = self.start()
        with open(os.path.join(os.path.dirname(__file__), "node_peer.py"), encoding="utf-8") as file:
            peer = self.peer("-c", file.read(), at)
        self.assertEqual(peer.returncode, 0, peer.stdout)
        found = json.loads(peer.stdout.splitlines()[-1])
        self.assertEqual(found["services"], [
            "opiml.v1alpha1.NodeService", "opiml.v1alpha1.DatasetService", "opiml.v1alpha1.PipelineService", "opi_api.inventory.v1.InventoryService", "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"])
        self.assertEqual(found["health"], 1)
        self.assertEqual(found["watch"], 1)
        self.assertEqual(found["unknown service"], ["NOT_FOUND", "no service ä"])
        self.assertEqual(found["unknown method"], ["UNIMPLEMENTED", "no method /a.B/C"])
        self.assertEqual(found["noise"][0], "INVALID_ARGUMENT")
        self.assertEqual(found["too large"][0], "RESOURCE_EXHAUSTED")
        self.assertEqual(found["after it"], 1)
        inventory = found["inventory"]
        self.assertGreaterEqual(inventory["processor"]["totalThreads"], len(os.sched_getaffinity(0)))
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        self.assertLess(abs(int(inventory["memory"]["totalPhysicalBytes"]) - total), 1 << 20)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(10), 0)

    def npm(self, *command):
        """Run a program with the packages of tools/npm."""
        modules = os.environ.get("OPIML_NPM", "")
        if not os.path.isdir(modules) or not shutil.which("node"):
            self.skipTest("the packages of tools/npm are not here: ./dev test installs them where npm is")
        return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=PROTO,
                              env={**os.environ, "NODE_PATH": modules,
                                   "PATH": f"{modules}/.bin:{os.environ['PATH']}"})

    def test_colons_in_roots(self):
        """Between two roots; none of those in a URI."""
        for before in ("postgres://u@db:5432/shop", "postgres://u@[::1]:5432/shop", "s3://bucket", "sqlite:///data/shop.db",
                       "postgres://u@a:1,b:2/shop", self.folder, ""):
            run = self.run_opiml("node", "start", "--roots", before + ":s3://other:/nowhere", "--listen", "127.0.0.1:0",
                                 "--data", "127.0.0.1:0")
            self.assertNotEqual(run.returncode, 0)
            self.assertRegex(run.stderr, r"[ :]/nowhere: No such file")

    def test_a_client_in_javascript(self):
        self.pictures()
        process, at = self.start("--roots", self.folder)
        peer = self.npm("node", os.path.join(os.path.dirname(os.path.abspath(__file__)), "node_peer.js"), at, PROTO,
                        self.path("data", "train"))
        self.assertEqual(peer.returncode, 0, peer.stderr)
        found = json.loads(peer.stdout)
        self.assertGreater(found["inventory"]["processor"]["totalThreads"], 0)
        created = found["created"]
        self.assertEqual((created["name"], created["format"], created["records"]),
                         ("datasets/mine", "image-folder", "300"))
        for again in ("again", "got", "updated"):
            self.assertEqual(found[again]["fingerprint"], created["fingerprint"])
        self.assertEqual(len(found["listed"]["datasets"]), 1)
        self.assertEqual(found["stats"]["stats"]["pipelines"], "0")
        for name, code, text in (("fixed", "INVALID_ARGUMENT", "records"), ("outside", "PERMISSION_DENIED", "served"),
                                 ("missing", "NOT_FOUND", "datasets/mine"), ("stale", "FAILED_PRECONDITION", "p.yaml"),
                                 ("pipelines", "INVALID_ARGUMENT", "negative"), ("drained", "NOT_FOUND", "none")):
            self.assertEqual(found[name]["code"], code, found[name])
            self.assertIn(text, found[name]["text"])
        self.assertEqual((found["deleted"], found["allowed"]), ({}, {}))
        self.assertEqual(found["health"], ["SERVING", "NOT_SERVING"])
        self.assertEqual(found["node"]["state"], "STATE_DRAINED")

    def test_the_api_is_in_opis_style(self):
        run = self.npm("buf", "lint")
        self.assertEqual((run.returncode, run.stdout + run.stderr), (0, ""))

    def test_small_and_soon_there(self):
        times = []
        for _ in range(5):
            began = time.monotonic()
            process, at = self.start()
            times.append(time.monotonic() - began)
            self.assertLess(self.rss(process), 32)
            process.kill()
            process.wait()
        # 50 ms are the limit; other tests run beside this one, so the best of five.
        self.assertLess(min(times), 0.05)

    def test_noise_does_no_harm(self):
        process, at = self.start()
        host, port = at.rsplit(":", 1)
        for noise in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00", b"", os.urandom(100000),
                      b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + os.urandom(1000)):
            with socket.create_connection((host, int(port)), 5) as connection:
                connection.settimeout(5)
                try:
                    connection.sendall(noise)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(65536):
                        pass
                except OSError:  # it has closed already
                    pass
        self.assertIsNone(process.poll())
        self.assertLess(self.rss(process), 32)

    def pictures(self):
        """A pipeline file over made-up images."""
        self.opiml("data", "make", "images", "--out", "data", "--count", "300", "--test", "0", "--size", "32")
        return self.write("p.yaml", PICTURES)

    def feed(self, *arguments, status=0):
        run = self.run_opiml("feed", "p.yaml", "--json", "--digest", *arguments)
        self.assertEqual(run.returncode, status, run.stderr)
        return json.loads(run.stdout)

    def test_pipelines_give_the_same_wherever_they_run(self):
        self.pictures()
        here = self.feed("--epochs", "2")["digest"]
        _, at = self.start("--roots", self.folder)
        for cut in range(4):
            there = self.feed("--epochs", "2", "--node", at, "--cut", str(cut), "--stripes", str(cut + 1))
            self.assertEqual(there["digest"], here)
            self.assertEqual(there["errors"], 0)
        self.assertEqual(self.feed("--epochs", "2", "--node", at)["digest"], here)

    def test_samples_are_the_same_wherever_they_run(self):
        self.pictures()
        self.write("p.yaml", PICTURES.replace("ops:", "ops:\n  - sample: {fraction: 0.3, per_epoch: true}"))
        here = self.feed("--epochs", "3")
        self.assertEqual(here["samples"], 270)
        at = [self.start("--roots", self.folder)[1] for _ in range(2)]
        for nodes in at[0], ",".join(at):
            for cut in (), ("--cut", "0"), ("--cut", "2"):
                self.assertEqual(self.feed("--epochs", "3", "--node", nodes, *cut)["digest"], here["digest"])
        self.feed("--epochs", "3", "--node", at[0], "--limit", "128", "--state", "state")
        self.assertEqual(self.feed("--epochs", "3", "--state", "state")["digest"], here["digest"])
        run = self.feed_without_data("--epochs", "3", "--json", "--digest", "--node", at[0])
        self.assertEqual(json.loads(run.stdout)["digest"], here["digest"], run.stderr)

    def plan(self, *arguments):
        run = self.run_opiml("plan", "p.yaml", "--json", *arguments)
        self.assertEqual(run.returncode, 0, run.stderr)
        return json.loads(run.stdout)

    def test_a_plan_is_made_and_followed(self):
        self.pictures()
        here = self.feed("--epochs", "2")["digest"]
        nodes = ",".join(self.start("--roots", self.folder)[1] for _ in range(2))
        alone, plan = self.plan(), self.plan("--node", nodes)
        self.assertEqual([one["name"] for one in alone["plans"]], ["all here"])
        self.assertEqual([tier["name"] for tier in plan["tiers"]], ["here", *nodes.split(",")])
        self.assertEqual(plan["operators"], ["decode_crop", "random_flip", "normalize"])
        self.assertEqual({one["name"] for one in plan["plans"]} - {"mixed"},
                         {"all here", "cut 0", "cut 1", "cut 2", "cut 3"})
        rates = [one["rows_per_s"] for one in plan["plans"]]
        self.assertEqual(rates, sorted(rates, reverse=True))
        for one in plan["plans"]:
            self.assertAlmostEqual(sum(part["share"] for part in one["parts"]), 1)
        self.assertEqual(self.feed("--epochs", "2", "--node", nodes)["digest"], here)

    def test_what_is_known_is_not_measured_again(self):
        self.pictures()
        _, at = self.start("--roots", self.folder, env={"XDG_CACHE_HOME": self.path("node-cache")})
        first, second, anew = (self.plan("--node", at, *options) for options in ((), (), ("--measure",)))
        self.assertEqual([tier["known"] for tier in first["tiers"]], ["measured", "measured"])
        self.assertEqual([tier["known"] for tier in second["tiers"]], ["kept", "kept"])
        self.assertEqual([tier["known"] for tier in anew["tiers"]], ["measured", "measured"])
        for tier in second["tiers"]:
            self.assertGreater(tier["known_age_s"], 0)
        self.assertEqual(second["tiers"][1]["operator_ns"], first["tiers"][1]["operator_ns"])
        self.assertEqual(second["tiers"][1]["link"], "memory")
        self.assertEqual(self.run_opiml("plan", "p.yaml", "--node", at).stdout.count(" ago"), 2)
        began = time.monotonic()
        self.feed("--node", at)
        self.assertLess(time.monotonic() - began, 0.5)  # which measuring alone takes

    def test_a_machine_is_calibrated(self):
        self.pictures()
        run = self.run_opiml("node", "calibrate", "--json")
        self.assertEqual(run.returncode, 0, run.stderr)
        found = {one["operator"]: one for one in json.loads(run.stdout)["operators"]}
        self.assertLessEqual({"decode_crop", "decode_resize", "random_flip", "normalize", "volume_random_crop"}, set(found))
        for one in found.values():
            self.assertGreater(one["row_ns"] + one["byte_in_ns"] + one["byte_out_ns"], 0)
        plan = self.plan()
        self.assertEqual(plan["tiers"][0]["known"], "calibrated")
        self.assertEqual(self.plan("--measure")["tiers"][0]["known"], "measured")
        self.assertEqual(self.plan()["tiers"][0]["known"], "kept")  # which is more exact
        run = self.run_opiml("node", "calibrate", "p.yaml", "--json")
        self.assertEqual({one["operator"] for one in json.loads(run.stdout)["operators"]},
                         {"decode_crop", "random_flip", "normalize"})
        self.assertEqual(self.run_opiml("node", "calibrate", "none.yaml").returncode, 3)

    def test_a_cache_is_proposed_and_taken_where_it_pays(self):
        self.pictures()
        steady = PICTURES.replace("random_resized_crop", "resize")
        self.write("p.yaml", steady)
        here = self.feed("--epochs", "4")
        _, at = self.start("--roots", self.folder)
        caches = {cache["tier"]: cache for cache in self.plan("--node", at)["caches"]}
        self.assertEqual(caches["here"]["before_operator"], 1)  # behind decode_resize
        self.assertGreater(caches["here"]["gain"], 1.1)
        self.assertIn("a cache of", self.run_opiml("plan", "p.yaml").stdout)
        self.write("p.yaml", steady + "cache: auto\n")
        cached = self.feed("--epochs", "4")
        self.assertEqual(cached["digest"], here["digest"])
        rows = {station["name"]: station["rows"] for station in cached["stations"]}
        self.assertGreater(rows["cache"], 2 * 300)
        self.assertNotIn("cache", [station["name"] for station in self.feed("--epochs", "1")["stations"]])
        self.assertEqual(self.feed("--epochs", "4", "--node", at)["digest"], here["digest"])

    def test_a_node_keeps_rows_for_all_who_want_the_same(self):
        self.pictures()
        steady = PICTURES.replace("random_resized_crop", "resize")
        self.write("p.yaml", steady)
        here = self.feed("--epochs", "3")["digest"]
        self.write("p.yaml", steady.replace("decode: {}", "decode: {}\n    place: node") + "cache: auto\n")
        _, at = self.start("--roots", self.folder, "--state", "none", "--metrics", "127.0.0.1:0")
        for job in ("first", "second"):  # which begins with what the first one's pipeline has kept
            run = self.run_opiml("feed", "p.yaml", "--json", "--digest", "--epochs", "3", "--node", at, "--job", job,
                                 env={**os.environ, "OPIML_LOG": "node=info"})
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertIn(f"plan: {at} keeps up to", run.stderr)
            self.assertEqual(json.loads(run.stdout)["digest"], here)
        self.assertEqual(self.feed("--epochs", "1", "--node", at)["samples"], 300)  # has no use for any

    def test_a_node_has_a_cache_on_disk_where_it_gives_room(self):
        self.pictures()
        steady = PICTURES.replace("random_resized_crop", "resize")
        here = None
        for options, cache in (((), "{in: disk, bytes: 16MiB}"), (("--cache-disk", "8MiB"), "{in: disk, folder: rows}"),
                               (("--cache-disk", "8MiB"), "{in: disk, bytes: 16MiB}")):
            self.write("p.yaml", steady.replace("  - random_flip", f"  - cache: {cache}\n  - random_flip"))
            here = here or self.feed("--epochs", "2")["digest"]
            process, at = self.start("--roots", self.folder, "--state", "none", *options,
                                     env={"XDG_CACHE_HOME": self.path("node-cache")})
            rows = self.path("node-cache/opiml/rows")
            if not options or "folder" in cache:
                run = self.run_opiml("feed", "p.yaml", "--node", at, "--cut", "2", "--insist")
                self.assertNotEqual(run.returncode, 0)
                self.assertIn("names a folder" if options else "--cache-disk", run.stderr)
                self.assertFalse(os.path.exists(rows))
                continue
            for job in ("first", "second"):
                report = self.feed("--epochs", "2", "--node", at, "--cut", "2", "--insist", "--job", job)
                self.assertEqual(report["digest"], here)
            self.assertEqual(len(os.listdir(rows)), 1)
            size = os.stat(f"{rows}/{os.listdir(rows)[0]}").st_size
            self.assertLess(300 * 3 * 24 * 24, size)
            self.assertLessEqual(size, 8 << 20)

    def test_a_feed_spares_this_machine_where_it_is_told_to(self):
        self.pictures()
        _, at = self.start("--roots", self.folder)
        here = self.feed("--epochs", "4")["digest"]
        for limit in (("--cores", "0.01"), ("--demand", "10")):
            report = self.feed("--epochs", "4", "--node", at, *limit)
            decoded = sum(one["rows"] for one in report["stations"] if one["name"] == "decode_crop")
            self.assertLess(decoded, 0.2 * report["samples"], limit)
            self.assertEqual(report["digest"], here)

    def set_disk_speed(self, path, bytes_per_s):
        """As if a node had measured this of its disk, which others may be writing to just now."""
        with open(path, encoding="utf-8") as file:
            kept = json.load(file)
        name, = [name for name in kept if name.startswith("disk ")]
        self.assertGreater(kept[name]["value"]["bytes_per_s"], 0)
        kept[name]["value"]["bytes_per_s"] = bytes_per_s
        with open(path, "w", encoding="utf-8") as file:
            json.dump(kept, file)

    def test_a_plan_has_a_node_keep_on_disk_what_memory_does_not_hold(self):
        self.opiml("data", "make", "images", "--out", "data", "--count", "500", "--test", "0", "--size", "200")
        steady = PICTURES.replace("random_resized_crop: {size: [24, 24]}", "resize: {size: [160, 160]}")
        self.write("p.yaml", steady + "pool: 64MiB\n")
        here = self.feed("--epochs", "3")["digest"]
        self.write("p.yaml", steady.replace("decode: {}", "decode: {}\n    place: node") + "pool: 64MiB\ncache: auto\n")
        _, at = self.start("--roots", self.folder, "--state", "none", "--cache-disk", "64MiB",
                           env={"XDG_CACHE_HOME": self.path("node-cache")})
        self.plan("--node", at)
        self.set_disk_speed(self.path("node-cache/opiml/measured.json"), 2e9)
        cache = {cache["tier"]: cache for cache in self.plan("--node", at)["caches"]}[at]
        self.assertEqual((cache["in"], cache["before_operator"]), ("disk", 1))
        self.assertIn(" on disk before ", self.opiml("plan", "p.yaml", "--node", at).stdout)
        for _ in range(2):
            run = self.run_opiml("feed", "p.yaml", "--json", "--digest", "--epochs", "3", "--node", at,
                                 env={**os.environ, "OPIML_LOG": "node=info"})
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertRegex(run.stderr, f"plan: {at} keeps up to .* of rows on disk before")
            self.assertEqual(json.loads(run.stdout)["digest"], here)
        rows = self.path("node-cache/opiml/rows")
        self.assertEqual(len(os.listdir(rows)), 1)
        self.assertGreater(os.stat(f"{rows}/{os.listdir(rows)[0]}").st_size, 500 * 3 * 160 * 160)

    def test_what_is_to_stay_here_stays(self):
        self.pictures()
        self.write("p.yaml", PICTURES + "place: local\n")
        run = self.run_opiml("feed", "p.yaml", "--node", "127.0.0.1:1")
        self.assertEqual(run.returncode, 2, run.stderr)
        self.assertIn("p.yaml says `place: local`, and --node is given", run.stderr)

    def test_a_million_samples_leave_its_memory_flat(self):
        """Many short runs and one long one: neither pipelines that ended nor rows stay."""
        self.rows(50000)
        self.write("p.yaml", ROWS + "ops:\n  - filter: {where: \"label != 3\"}\n")
        process, at = self.start("--roots", self.folder)
        sizes, samples = [], 0
        for epochs in (1, 1, 1, 1, 1, 2, 14):
            report = self.feed("--epochs", str(epochs), "--node", at, "--cut", "1", "--link", "tcp")
            samples += report["samples"]
            sizes.append(self.rss(process))
        self.assertEqual(samples, 21 * 49999)
        # What the allocator keeps of the first runs does not grow with more of them, or with longer ones.
        self.assertLess(max(sizes[2:]) - min(sizes[2:]), 2, sizes)
        print("RSS in MiB:", sizes)

    def test_operators_run_where_the_file_says(self):
        self.pictures()
        here = self.feed()["digest"]
        one, other = (self.start("--roots", self.folder)[1] for _ in range(2))
        decode, flip = "  - decode: {}", "  - random_flip: {p: 0.5}"
        self.write("p.yaml", PICTURES.replace(decode, f"  - {{decode: {{}}, place: '{one}'}}").replace(
            flip, "  - {random_flip: {p: 0.5}, place: here}"))
        plan = self.plan("--node", f"{one},{other}")
        self.assertEqual([one["name"] for one in plan["plans"]], ["cut 1"])
        self.assertEqual([part["tier"] for part in plan["plans"][0]["parts"]], [one])
        self.assertIn(f"p.yaml:8: decode_crop has place: {one}", [cut["why"] for cut in plan["tiers"][0]["refused"]])
        self.assertIn("p.yaml:10: random_flip has place: here", [cut["why"] for cut in plan["tiers"][1]["refused"]])
        self.assertEqual(self.feed("--node", f"{one},{other}", "--insist")["digest"], here)
        self.assertEqual(self.feed("--node", one, "--cut", "1", "--insist")["digest"], here)
        for options, status, text in (((), 2, "no node takes part"), (("--node", other), 9, "no node takes part that can"),
                                      (("--node", one, "--cut", "2"), 2, "random_flip has place: here"),
                                      (("--node", other, "--cut", "1"), 2, f"decode_crop has place: {one}")):
            run = self.run_opiml("feed", "p.yaml", *options)
            self.assertEqual(run.returncode, status, run.stderr)
            self.assertIn(text, run.stderr)
        self.write("p.yaml", PICTURES.replace(decode, "  - {decode: {}, place: here}").replace(
            flip, "  - {random_flip: {p: 0.5}, place: node}"))
        run = self.run_opiml("plan", "p.yaml")
        self.assertEqual(run.returncode, 2)
        self.assertIn("p.yaml:10:36: place: node of random_flip, and decode_crop before it is to run here", run.stderr)

    def test_libraries_that_differ_do_not_share_an_operator(self):
        self.pictures()
        here = self.feed()["digest"]
        _, at = self.start("--roots", self.folder, env={"LD_PRELOAD": os.environ["OTHER_JPEG"]})
        plan = self.plan("--node", at)
        refused = plan["tiers"][1]["refused"]
        self.assertEqual([cut["cut"] for cut in refused], [1, 2, 3])
        for cut in refused:
            self.assertEqual(cut["why"], "decode_crop is another implementation there: libraries differ")
        self.assertEqual({one["name"] for one in plan["plans"]} - {"mixed"}, {"all here", "cut 0"})
        self.assertEqual(self.feed("--node", at)["digest"], here)
        run = self.run_opiml("feed", "p.yaml", "--node", at, "--cut", "1", "--insist")
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("decode_crop is another implementation here", run.stderr)

    def node(self, verb, at, *options, status=0):
        run = self.run_opiml("node", verb, "--node", at, "--json", *options)
        self.assertEqual(run.returncode, status, run.stderr)
        return json.loads(run.stdout)

    def test_it_is_taken_out_of_service(self):
        self.pictures()
        process, at = self.start("--roots", self.folder)
        self.assertEqual(self.node("status", at)["state"], "serving")
        with subprocess.Popen([OPIML, "feed", "p.yaml", "--epochs", "0", "--node", at, "--cut", "2"],
                              cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as run:
            try:
                deadline = time.monotonic() + 20
                now = {"pipeline": []}
                while not any(p["rows_per_second"] > 0 for p in now["pipeline"]) and time.monotonic() < deadline:
                    now = self.node("status", at, "--interval", "0.2")
                self.assertEqual(len(now["pipeline"]), 1)
                self.assertEqual(now["pipeline"][0]["operators"], 2)
                self.assertEqual(self.node("drain", at, "--grace", "0.1"),
                                 {"node": at, "state": "drained", "pipelines_before": 1})
                self.assertIsNone(run.poll())  # all runs here now
            finally:
                run.send_signal(signal.SIGINT)
                said = run.communicate(timeout=20)[1]
        self.assertIn("taken out of service", said)
        self.assertEqual([(n["node"], n["state"]) for n in self.node("ls", at)], [(at, "drained")])
        self.assertEqual(self.node("stop", at)["state"], "stopped")
        self.assertEqual(process.wait(10), 0)
        listed = self.node("ls", at, status=5)
        self.assertIn("refused", listed[0]["error"])

    def test_prometheus_reads_it(self):
        self.pictures()
        process, at = self.start("--roots", self.folder, "--metrics", "127.0.0.1:0")
        place = process.stdout.readline().split()[-1]
        with subprocess.Popen([OPIML, "feed", "p.yaml", "--epochs", "0", "--node", at, "--cut", "2"],
                              cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
            try:
                deadline = time.monotonic() + 20
                page = ""
                while "opiml_station_rows_total{" not in page and time.monotonic() < deadline:
                    with urllib.request.urlopen(f"http://{place}/metrics", timeout=5) as answer:
                        page = answer.read().decode()
            finally:
                run.send_signal(signal.SIGINT)
        self.assertIn('opiml_node_pipelines 1\n', page)
        self.assertIn('station="send"', page)
        promtool = shutil.which("promtool")
        if not promtool:
            self.skipTest("promtool (Debian package prometheus) is not here")
        checked = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, text=True, timeout=20)
        self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, ""))

    def test_probes_see_what_it_does(self):
        process, at = self.start("--metrics", "127.0.0.1:0")
        place = process.stdout.readline().split()[-1]

        def probe(what, status, text=""):
            run = self.run_opiml("node", "status", "--probe", what, "--metrics", place)
            self.assertEqual((run.returncode, run.stdout), (status, ""), run.stderr)
            self.assertIn(text, run.stderr)

        probe("alive", 0)
        probe("ready", 0)
        self.node("drain", at, "--grace", "0")
        probe("alive", 0)
        probe("ready", 8, "being drained")
        process.send_signal(signal.SIGSTOP)
        probe("alive", 8, "no answer")
        process.kill()
        process.wait()
        probe("alive", 5, "refused")
        with socket.create_server(("127.0.0.1", int(place.rsplit(":", 1)[1]))):  # one that takes connections, and no more
            probe("alive", 8, "no answer")

    def flood(self, places, stop):
        """Open connections without end, from another address: silent ones, and ones that say something else."""
        held = collections.deque(maxlen=700)
        for number in itertools.count():
            if stop.is_set():
                break
            flooder = socket.socket()
            try:
                flooder.settimeout(1)
                flooder.bind(("127.0.0.2", 0))
                flooder.connect(places[number % len(places)])
                if number % 3 == 0:
                    flooder.send(os.urandom(20))
                elif number % 3 == 1:
                    flooder.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
            except OSError:
                pass
            if len(held) == held.maxlen:
                held.popleft().close()
            held.append(flooder)
        for flooder in held:
            flooder.close()

    def test_a_flood_of_connections_keeps_nobody_out(self):
        self.pictures()
        here = self.feed("--epochs", "2")["digest"]
        self.opiml("pki", "init", "site")
        self.opiml("pki", "issue", "site", "--name", "127.0.0.1", "--server")
        self.opiml("pki", "issue", "site", "--name", "trainer", "--client")

        def certificate(name):
            return ("--tls-cert", self.path("site", name + ".crt"), "--tls-key", self.path("site", name + ".key"),
                    "--tls-ca", self.path("site", "ca.crt"))

        for tls in (False, True):
            mine = certificate("trainer") if tls else ()
            with socket.create_server(("127.0.0.1", 0)) as free:
                data = free.getsockname()
            process, at = self.start("--roots", self.folder, "--data", f"127.0.0.1:{data[1]}",
                                     *(certificate("127.0.0.1") if tls else ()))
            stop = threading.Event()
            control = ("127.0.0.1", int(at.rsplit(":", 1)[1]))
            floods = [threading.Thread(target=self.flood, args=([place], stop)) for place in (control, data)]
            for thread in floods:
                thread.start()
            try:
                time.sleep(1)  # all places are taken now
                for link in ("tcp", "auto"):
                    report = self.feed("--epochs", "2", "--node", at, "--cut", "2", "--insist", "--stripes", "4", "--link", link, *mine)
                    self.assertEqual(report["digest"], here)
            finally:
                stop.set()
                for thread in floods:
                    thread.join()
            self.assertIsNone(process.poll())
            self.assertLess(self.rss(process), 64)

    def test_it_runs_beside_the_bridges_of_a_dpu(self):
        held = []
        self.addCleanup(lambda: [listener.close() for listener in held])
        try:
            for port in (50051, 50151, 8082):
                held.append(socket.create_server(("127.0.0.1", port)))
            for port in (50251, 50252, 50253):  # so that a failure is the node's own
                socket.create_server(("127.0.0.1", port)).close()
        except OSError as error:
            self.skipTest(f"ports are taken: {error}")
        with subprocess.Popen([OPIML, "node", "start"], stdout=subprocess.PIPE, text=True) as process:
            try:
                self.assertEqual(process.stdout.readline(), "serving on 127.0.0.1:50251\n")
                self.assertEqual(process.stdout.readline(), "metrics on 127.0.0.1:50253\n")
                run = self.run_opiml("node", "status", "--json")
                self.assertEqual(run.returncode, 0, run.stderr)
                self.assertEqual(json.loads(run.stdout)["data_port"], 50252)
            finally:
                process.terminate()
                self.assertEqual(process.wait(10), 0)

    def test_one_machine_is_up_by_itself(self):
        self.pictures()
        here = self.feed()["digest"]
        with subprocess.Popen([OPIML, "up", "--root", self.folder], stdout=subprocess.PIPE, text=True) as process:
            try:
                said = [process.stdout.readline()]
                while "node status" not in said[-1]:
                    said.append(process.stdout.readline())
                at = said[-1].split()[-1]
                self.assertIn(f"{os.path.realpath(self.folder)} and below", "".join(said))
                self.assertEqual(self.feed("--node", at, "--insist", "--cut", "3")["digest"], here)
            finally:
                process.send_signal(signal.SIGINT)
                self.assertEqual(process.wait(10), 0)

    def feed_without_data(self, *arguments):
        return self.without_data("feed", "p.yaml", *arguments)

    def without_data(self, *arguments):
        """Run the program where an empty file system lies over the data."""
        run = subprocess.run(["unshare", "--mount", "--map-root-user", "sh", "-c",
                              'mount -t tmpfs none "$1" || exit 77; shift; exec "$@"', "sh", self.path("data"),
                              OPIML, *arguments], cwd=self.folder, capture_output=True, text=True,
                             timeout=60, env={**os.environ, "XDG_CACHE_HOME": self.path("cache")})
        if run.returncode == 77 or "unshare" in run.stderr:
            self.skipTest(f"no mount namespace here: {run.stderr.strip()}")
        return run

    def test_who_does_not_see_the_data_gets_their_index(self):
        self.pictures()
        here = self.feed("--epochs", "2")["digest"]
        _, at = self.start("--roots", self.folder)
        for cut in ((), ("--cut", "1")):  # the second time the index is in the cache
            run = self.feed_without_data("--epochs", "2", "--json", "--digest", "--node", at, *cut)
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertEqual(json.loads(run.stdout)["digest"], here)
        self.assertEqual(sum(name.startswith("index-") for name in os.listdir(self.path("cache", "opiml"))), 1)
        run = self.without_data("plan", "p.yaml", "--json", "--node", at)
        self.assertEqual(run.returncode, 0, run.stderr)
        plan = json.loads(run.stdout)
        self.assertEqual([tier["known"] for tier in plan["tiers"]][0], "borrowed")
        self.assertEqual(plan["tiers"][0]["refused"], [{"cut": None, "why": "the data cannot be read here"}])
        self.assertEqual({one["name"] for one in plan["plans"]} - {"mixed"}, {"cut 0", "cut 1", "cut 2", "cut 3"})
        run = self.feed_without_data("--node", "127.0.0.1:1")
        self.assertEqual(run.returncode, 3, run.stderr)
        self.assertIn("and there: 127.0.0.1:1", run.stderr)

    def kill_one(self, victim, *options, nodes):
        """Run 60 epochs over the nodes, and kill one once batches have come. Its status, what it said, and its
        report."""
        with subprocess.Popen([OPIML, "feed", "p.yaml", "--epochs", "60", "--digest", "--json", "--state", "state",
                               "--node", nodes, "--cut", "3", *options], cwd=self.folder, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as run:
            while not os.path.exists(self.path("state")) and run.poll() is None:
                time.sleep(0.002)
            victim.kill()
            said = run.communicate(timeout=60)
        return run.returncode, said[1], json.loads(said[0])

    def test_a_run_goes_on_when_its_node_is_killed(self):
        self.pictures()
        here = self.feed("--epochs", "60")["digest"]
        nodes = [self.start("--roots", self.folder) for _ in range(2)]
        places = ",".join(at for _, at in nodes)
        for victim, _ in nodes:  # the second time there is none left
            status, said, report = self.kill_one(victim, nodes=places)
            self.assertEqual(status, 0, said)
            self.assertEqual(report["digest"], here)
            self.assertEqual(report["samples"], 300 * 60)
            os.unlink(self.path("state"))

    def test_who_insists_on_a_node_goes_on_later(self):
        self.pictures()
        here = self.feed("--epochs", "60")["digest"]
        process, at = self.start("--roots", self.folder)
        status, said, report = self.kill_one(process, "--insist", nodes=at)
        if status != 0:  # it may have been faster than the signal
            self.assertEqual(status, 5, said)
            self.assertIn("the other end has gone", report["error"]["message"] if "error" in report else said)
        process, at = self.start("--roots", self.folder)
        self.assertEqual(self.feed("--epochs", "60", "--state", "state", "--node", at, "--cut", "2")["digest"], here)

    def test_only_what_is_served_is_read(self):
        self.pictures()
        _, at = self.start()
        run = self.run_opiml("feed", "p.yaml", "--node", at)
        self.assertEqual(run.returncode, 0, run.stderr)  # all of it here
        self.assertIn("all operators run here", run.stderr)
        run = self.run_opiml("feed", "p.yaml", "--node", at, "--insist")
        self.assertEqual(run.returncode, 4, run.stderr)
        self.assertIn(at, run.stderr)
        self.assertIn("none of the folders that are served here", run.stderr)
        os.makedirs(self.path("served"))
        os.symlink(self.path("data"), self.path("served", "link"))
        self.write("p.yaml", PICTURES.replace("data/train", "served/link/train"))
        _, at = self.start("--roots", self.path("served"))
        self.assertEqual(self.run_opiml("feed", "p.yaml", "--node", at, "--insist").returncode, 4)

    def test_places_that_it_does_not_take(self):
        process, at = self.start()
        for place, status, text in ((at, 8, "another program listens there"), ("0.0.0.0:0", 4, "--insecure"),
                                    ("nowhere", 2, "no place on a network"), ("127.0.0.1:99999", 2, "no place")):
            run = subprocess.run([OPIML, "node", "start", "--metrics", "off", "--data", "127.0.0.1:0",
                                  "--listen", place], capture_output=True, text=True,
                                 timeout=10)
            self.assertEqual(run.returncode, status, run.stderr)
            self.assertIn(text, run.stderr)
        self.assertIsNone(process.poll())


if __name__ == "__main__":
    unittest.main()
