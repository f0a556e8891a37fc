"""Chains: rows go from the node that has the data to one that has cores, and from there to who trains."""
import json
import os
import signal
import socket
import subprocess
import time

from helper import Case, unittest
from test_node import PICTURES

OPIML = os.environ["OPIML"]


class Chain(Case):
    def setUp(self):
        super().setUp()
        for name in ("OPIML_TLS_CERT", "OPIML_TLS_KEY", "OPIML_TLS_CA"):
            os.environ.pop(name, None)
        self.opiml("data", "make", "images", "--out", "data", "--count", "300", "--test", "0", "--size", "32")
        self.write("p.yaml", PICTURES)
        os.makedirs(self.path("nothing"))

    def start(self, root, *options, listen="127.0.0.1:0"):
        """A node over a folder below ours; its process and address. Its cache is its own."""
        return self.start_node("--listen", listen, "--roots", self.path(root), *options, stderr=subprocess.PIPE,
                               env={"XDG_CACHE_HOME": self.path("cache of " + root)})

    def feed(self, *arguments):
        run = self.run_opiml("feed", "p.yaml", "--json", "--digest", "--insist", *arguments)
        self.assertEqual(run.returncode, 0, run.stderr)
        return json.loads(run.stdout)

    def refused(self, status, text, *arguments):
        run = self.run_opiml("feed", "p.yaml", "--insist", *arguments)
        self.assertEqual(run.returncode, status, run.stderr)
        self.assertIn(text, run.stderr)

    def test_rows_are_the_same_by_every_chain(self):
        here = self.feed("--epochs", "2")["digest"]
        _, store = self.start("data")
        _, dpu = self.start("nothing", "--upstream", store)
        for first in range(4):
            for second in range(first, 4):
                report = self.feed("--epochs", "2", "--chain", f"{store}={first},{dpu}={second}",
                                   *(("--link", "tcp", "--stripes", "2") if second == 3 else ()))
                self.assertEqual((report["digest"], report["errors"]), (here, 0))
                self.assertEqual({s["name"] for s in report["stations"]} & {"read", "link"}, {"link"})
        for rank in range(2):
            self.assertEqual(self.feed("--rank", str(rank), "--world", "2", "--chain", f"{store}=1,{dpu}=2")["digest"],
                             self.feed("--rank", str(rank), "--world", "2")["digest"])

    def test_a_bad_record_is_one_by_a_chain_too(self):
        folder = self.path("data", "train")
        name = os.path.join(folder, sorted(os.listdir(folder))[0])
        with open(os.path.join(name, sorted(os.listdir(name))[0]), "wb") as file:
            file.write(b"no picture")
        self.write("p.yaml", PICTURES + "errors: {budget: 1}\n")
        _, store = self.start("data")
        _, dpu = self.start("nothing", "--upstream", store)
        here = self.feed()
        for cuts in ((0, 0), (0, 1), (1, 3)):
            there = self.feed("--chain", f"{store}={cuts[0]},{dpu}={cuts[1]}")
            self.assertEqual([there[k] for k in ("digest", "errors", "bad")], [here[k] for k in ("digest", "errors", "bad")])

    def test_a_node_calls_those_that_it_may(self):
        _, store = self.start("data")
        _, dpu = self.start("nothing")
        _, other = self.start("nothing", "--upstream", dpu)
        chain = f"{store}=1,{dpu}=2"
        self.refused(4, f"{dpu}: upstream {store}: this node may not call it", "--chain", chain)
        self.refused(4, f"{other}: upstream {store}: this node may not call it", "--chain", f"{store}=1,{other}=2")
        run = self.run_opiml("feed", "p.yaml", "--json", "--digest", "--chain", chain)
        self.assertEqual(json.loads(run.stdout)["digest"], self.feed()["digest"])
        self.assertIn("go on without it", run.stderr)
        self.refused(2, "--chain says already what --node does", "--chain", chain, "--node", store)
        self.refused(2, "--chain says already what --cut does", "--chain", chain, "--cut", "1")
        self.refused(2, "the cut has to be one from 2 to 3", "--chain", f"{store}=2,{dpu}=1")

    def test_two_nodes_are_each_others_upstream(self):
        """Chains in both directions at once: neither waits for the other."""
        here = self.feed()["digest"]
        with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
            places = [f"127.0.0.1:{server.getsockname()[1]}" for server in (one, two)]
        for at, other in (places, reversed(places)):
            self.start("data", "--upstream", other, listen=at)
        runs = [subprocess.Popen([OPIML, "feed", "p.yaml", "--json", "--digest", "--insist", "--chain",
                                  f"{places[i % 2]}=1,{places[1 - i % 2]}=2"], cwd=self.folder, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True) for i in range(8)]
        for run in runs:
            said = run.communicate(timeout=60)
            self.assertEqual(run.returncode, 0, said[1])
            self.assertEqual(json.loads(said[0])["digest"], here)

    def test_a_node_is_the_client_of_another_by_its_certificate(self):
        self.opiml("pki", "init", "site")

        def issue(names, *options):
            made = json.loads(self.opiml("pki", "issue", "site", "--name", names, "--json", "--out",
                                         self.path(names.split(",")[0]), *options).stdout)["file"][:-len(".crt")]
            return ("--tls-cert", made + ".crt", "--tls-key", made + ".key", "--tls-ca", self.path("site", "ca.crt"))

        here = self.feed()["digest"]
        consumer = issue("trainer", "--client")
        _, store = self.start("data", *issue("store,127.0.0.1", "--server"))
        _, dpu = self.start("nothing", "--upstream", store, *issue("dpu,127.0.0.1"))
        for link in ("auto", "tcp"):
            self.assertEqual(self.feed("--chain", f"{store}=1,{dpu}=2", "--link", link, *consumer)["digest"], here)
        _, dpu = self.start("nothing", "--upstream", store, *issue("other,127.0.0.1", "--server"))
        self.refused(4, f"{store} refuses this end's certificate", "--chain", f"{store}=1,{dpu}=2", *consumer)

    def plan(self, nodes, *options):
        run = self.run_opiml("plan", "p.yaml", "--json", "--node", nodes, *options)
        self.assertEqual(run.returncode, 0, run.stderr)
        return json.loads(run.stdout), run.stderr

    def test_a_plan_counts_ways_by_two_nodes(self):
        here = self.feed("--epochs", "2")["digest"]
        _, store = self.start("data")
        _, dpu = self.start("nothing", "--upstream", store)
        for nodes in (f"{store},{dpu}", f"{dpu},{store}"):
            plan, said = self.plan(nodes)
            self.assertEqual(said, "")
            self.assertEqual([(link["from"], link["to"]) for link in plan["links"]], [(store, dpu)])
            self.assertGreater(plan["links"][0]["bytes_per_s"], 1e6)
            names = [one["name"] for one in plan["plans"]]
            self.assertIn(f"{store} 0-1, {dpu} 1-2, here 2-3", names)
            rates = [one["rows_per_s"] for one in plan["plans"]]
            self.assertEqual(rates, sorted(rates, reverse=True))
            tier = next(tier for tier in plan["tiers"] if tier["name"] == dpu)
            self.assertTrue(all(ns > 0 for ns in tier["operator_ns"]))
            self.assertEqual(len(tier["refused"]), 4)
            self.assertEqual(self.feed("--epochs", "2", "--node", nodes)["digest"], here)
        text = self.opiml("plan", "p.yaml", "--node", f"{store},{dpu}").stdout
        self.assertIn(f"{dpu} takes rows from {store} at", text)
        self.assertIn(f"no cut on {dpu} alone is possible: it has no data of its own", text)
        _, other = self.start("nothing")
        plan, said = self.plan(f"{store},{other}")
        self.assertIn(f"without {other}", said)
        self.assertEqual(plan["links"], [])

    def test_a_plan_takes_the_chain_where_nobody_else_can_decode(self):
        """The store has another libjpeg, and can only read; the trainer is to be spared."""
        here = self.feed("--epochs", "2")["digest"]
        _, store = self.start_node("--roots", self.path("data"), env={"LD_PRELOAD": os.environ["OTHER_JPEG"]})
        _, dpu = self.start("nothing", "--upstream", store)
        plan, _ = self.plan(f"{store},{dpu}", "--demand", "100")
        part = plan["plans"][0]["parts"][0]
        self.assertEqual((part["from"], part["from_cut"], part["tier"]), (store, 0, dpu), plan["plans"][0])
        self.assertGreaterEqual(part["cut"], 1)
        self.assertEqual(plan["plans"][0]["limit"], "demand")
        self.assertEqual(self.feed("--epochs", "2", "--chain", f"{store}=0,{dpu}=3")["digest"], here)
        self.refused(6, "is another implementation here", "--chain", f"{store}=1,{dpu}=3")

    def kill(self, victim, chain, *options):
        """Run 60 epochs by a chain, and kill -9 one once batches have come."""
        with subprocess.Popen([OPIML, "feed", "p.yaml", "--epochs", "60", "--digest", "--json", "--state", "state",
                               "--chain", chain, *options], cwd=self.folder, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as run:
            while not os.path.exists(self.path("state")) and run.poll() is None:
                time.sleep(0.002)
            (victim or run).kill()
            said = run.communicate(timeout=60)
        return run.returncode, said[1], said[0]

    def test_a_run_goes_on_whoever_of_its_chain_is_killed(self):
        here = self.feed("--epochs", "60")["digest"]
        for link in ("auto", "tcp"):
            for who in ("store", "dpu"):
                store, store_at = self.start("data")
                dpu, dpu_at = self.start("nothing", "--upstream", store_at)
                status, said, report = self.kill(store if who == "store" else dpu, f"{store_at}=1,{dpu_at}=2", "--link", link)
                self.assertEqual(status, 0, said)
                report = json.loads(report)
                self.assertEqual((report["digest"], report["samples"]), (here, 300 * 60), said)
                os.unlink(self.path("state"))

    def test_who_trains_is_killed_and_goes_on(self):
        here = self.feed("--epochs", "60")["digest"]
        store, store_at = self.start("data")
        dpu, dpu_at = self.start("nothing", "--upstream", store_at)
        chain = f"{store_at}=1,{dpu_at}=2"
        status, said, _ = self.kill(None, chain)
        self.assertIn(status, (0, -signal.SIGKILL), said)
        self.assertEqual(self.feed("--epochs", "60", "--state", "state", "--chain", chain)["digest"], here)
        for node in (dpu, store):
            node.terminate()
            self.assertEqual(node.wait(10), 0)

    def test_nothing_is_left_behind(self):
        """The pipeline at the first node ends with the one that it is for."""
        _, store = self.start("data")
        _, dpu = self.start("nothing", "--upstream", store)
        self.feed("--chain", f"{store}=1,{dpu}=2")
        deadline = time.monotonic() + 20
        left = [1, 1]
        while any(left) and time.monotonic() < deadline:
            left = [len(json.loads(self.opiml("node", "status", "--node", at, "--json", "--interval", "0.1").stdout)["pipeline"])
                    for at in (store, dpu)]
        self.assertEqual(left, [0, 0])


if __name__ == "__main__":
    unittest.main()
