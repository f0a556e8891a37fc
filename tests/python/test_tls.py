"""Mutual TLS as others see it: gRPC's own package and openssl against the node, certificates by `opiml pki`."""
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

from helper import Case, needs_peers, unittest
from test_link import needs_ucx
from test_node import PICTURES

OPIML = os.environ["OPIML"]
OPENSSL = shutil.which("openssl")
needs_openssl = unittest.skipUnless(OPENSSL, "openssl is not installed")

CA_CONFIG = """
[ca]
default_ca = it
[it]
database = {folder}/made/index.txt
new_certs_dir = {folder}/made
rand_serial = yes
default_md = sha256
policy = any
x509_extensions = leaf
[any]
commonName = supplied
[leaf]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth,clientAuth
subjectAltName = DNS:localhost,IP:127.0.0.1
"""

PEER = """
import json, sys, grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

def read(name):
    return open(name, "rb").read() if name else None

def ask(channel):
    try:
        status = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10).status
        return [status, len(list(ProtoReflectionDescriptorDatabase(channel).get_services()))]
    except grpc.RpcError as error:
        return error.code().name

at, ca, other_ca, certificate, key, other_certificate, other_key = sys.argv[1:]
def secure(ca, certificate=None, key=None):
    return ask(grpc.secure_channel(at, grpc.ssl_channel_credentials(read(ca), read(key), read(certificate))))
print(json.dumps({"good": secure(ca, certificate, key), "no certificate": secure(ca),
                  "another CA's": secure(ca, other_certificate, other_key),
                  "trusts another CA": secure(other_ca, certificate, key),
                  "plaintext": ask(grpc.insecure_channel(at))}))
"""


class Tls(Case):
    def setUp(self):
        super().setUp()
        for name in ("OPIML_TLS_CERT", "OPIML_TLS_KEY", "OPIML_TLS_CA"):
            os.environ.pop(name, None)
        self.opiml("pki", "init", "site", "--name", "the site")
        self.issue("site", "localhost,127.0.0.1", "--server")
        self.issue("site", "trainer", "--client")

    def issue(self, site, names, *options):
        """--tls-... options of a certificate by the CA in a folder."""
        made = json.loads(self.opiml("pki", "issue", site, "--name", names, "--json", *options).stdout)
        return self.options(site, made["file"][:-len(".crt")])

    def options(self, site, name):
        return ("--tls-cert", self.path(name + ".crt"), "--tls-key", self.path(name + ".key"),
                "--tls-ca", self.path(site, "ca.crt"))

    def start(self, *options):
        """A node with TLS on ports of its own: process, address, what it says on standard error so far."""
        return self.start_node("--roots", self.folder, *(options or self.options("site", "site/localhost")),
                               stderr=open(self.path("log"), "wb"))

    def said(self, text):
        """The node says it, soon."""
        for _ in range(100):
            with open(self.path("log"), encoding="utf-8") as file:
                log = file.read()
            if text in log:
                return
            time.sleep(0.05)
        self.fail(f"{text!r} is not in {log!r}")

    def pictures(self):
        self.opiml("data", "make", "images", "--out", "data", "--count", "200", "--test", "0", "--size", "32")
        self.write("p.yaml", PICTURES)

    def feed(self, *arguments, **options):
        if "--node" in arguments:
            arguments += ("--insist",)
        run = self.run_opiml("feed", "p.yaml", "--json", "--digest", *arguments, **options)
        self.assertEqual(run.returncode, 0, run.stderr)
        return json.loads(run.stdout)["digest"]

    def refused(self, at, options, status, *texts):
        """A consumer that does not get in, and what it says."""
        run = self.run_opiml("feed", "p.yaml", "--node", at, "--insist", *options)
        self.assertEqual(run.returncode, status, run.stderr)
        for text in (at, *texts):
            self.assertIn(text, run.stderr)

    # ---- certificates ----

    @needs_openssl
    def test_certificates_are_what_others_expect(self):
        for name in ("ca", "localhost", "trainer"):
            check = subprocess.run([OPENSSL, "verify", "-x509_strict", "-CAfile", self.path("site", "ca.crt"),
                                    self.path("site", name + ".crt")], capture_output=True, text=True, check=False)
            self.assertEqual(check.returncode, 0, check.stderr)
        text = subprocess.run([OPENSSL, "x509", "-noout", "-text", "-in", self.path("site", "localhost.crt")],
                              capture_output=True, text=True, check=True).stdout
        for part in ("DNS:localhost, IP Address:127.0.0.1", "TLS Web Server Authentication\n", "Digital Signature\n",
                     "CA:FALSE", "Subject Key Identifier", "Authority Key Identifier", "prime256v1"):
            self.assertIn(part, text)
        shown = {os.path.basename(one["file"]): one
                 for one in json.loads(self.opiml("pki", "show", "site", "--json").stdout)}
        self.assertEqual(sorted(shown), ["ca.crt", "localhost.crt", "trainer.crt"])
        self.assertEqual(shown["localhost.crt"]["names"], ["localhost", "127.0.0.1"])
        self.assertEqual([shown[name]["uses"] for name in sorted(shown)], [["ca"], ["server"], ["client"]])
        self.assertTrue(all(one["good"] for one in shown.values()))
        self.assertIn(shown["localhost.crt"]["days_left"], (364, 365))  # whole ones
        print_ = subprocess.run([OPENSSL, "x509", "-noout", "-fingerprint", "-sha256", "-in",
                                 self.path("site", "localhost.crt")], capture_output=True, text=True, check=True).stdout
        self.assertEqual(shown["localhost.crt"]["fingerprint"], print_.split("=")[1].strip().replace(":", "").lower())

    def test_what_pki_refuses(self):
        for arguments, status, text in (
                (("init", "site"), 3, "holds a CA already"), (("issue", "site"), 2, "--name"),
                (("issue", "site", "--name", "a b"), 2, '"a b" is neither'),
                (("issue", "nowhere", "--name", "a"), 3, "`opiml pki init nowhere`"),
                (("issue", "site", "--name", "a", "--days", "36500"), 4, "more than the CA has left"),
                (("show", "nowhere"), 3, "nowhere"), (("show", "p.yaml"), 2, "no certificate")):
            self.write("p.yaml", "x")
            run = self.run_opiml("pki", *arguments)
            self.assertEqual(run.returncode, status, run.stderr)
            self.assertIn(text, run.stderr)
        self.opiml("pki", "init", "other")
        shown = json.loads(self.opiml("pki", "show", "site/trainer.crt", "--ca", "other/ca.crt", "--json").stdout)
        self.assertFalse(shown[0]["good"])
        self.assertTrue(shown[0]["problem"])

    # ---- those who get in ----

    def test_the_same_digest(self):
        self.pictures()
        here = self.feed()
        _, at = self.start()
        trainer = self.options("site", "site/trainer")
        for stripes in ("1", "4"):
            self.assertEqual(self.feed("--node", at, "--stripes", stripes, *trainer), here)
        tiers = json.loads(self.opiml("plan", "p.yaml", "--node", at, "--json", *trainer).stdout)["tiers"]
        self.assertEqual([tier["name"] for tier in tiers][1:], [at])
        named = "localhost:" + at.rsplit(":", 1)[1]
        environment = dict(os.environ, OPIML_TLS_CERT=trainer[1], OPIML_TLS_KEY=trainer[3], OPIML_TLS_CA=trainer[5])
        self.assertEqual(self.feed("--node", named, env=environment), here)

    @needs_ucx
    def test_ucx_beside_tls(self):
        """The ticket and all but the batches themselves are encrypted; UCX leaves SIGHUP to the node."""
        self.pictures()
        here = self.feed()
        process, at = self.start(*self.options("site", "site/localhost"), "--ucx")
        trainer = self.options("site", "site/trainer")
        self.assertEqual(self.feed("--node", at, "--link", "ucx", *trainer), here)
        self.refused(at, ("--link", "ucx"), 5, "speaks TLS, and this end was not told to")
        self.opiml("pki", "init", "next")
        self.issue("next", "localhost,127.0.0.1")
        shutil.copy(self.path("next", "localhost.crt"), self.path("site", "localhost.crt"))
        process.send_signal(signal.SIGHUP)
        self.assertEqual(self.feed("--node", at, "--link", "ucx", *trainer), here)
        self.said("is not the key of the certificate")
        self.assertIsNone(process.poll())

    @needs_peers
    def test_stock_clients(self):
        other = [self.opiml("pki", *words) for words in (("init", "other"), ("issue", "other", "--name", "trainer"))]
        self.assertEqual(len(other), 2)
        _, at = self.start()
        peer = self.peer("-c", PEER, at, *(self.path(*name.split("/")) for name in (
            "site/ca.crt", "other/ca.crt", "site/trainer.crt", "site/trainer.key", "other/trainer.crt",
            "other/trainer.key")))
        self.assertEqual(peer.returncode, 0, peer.stdout)
        self.assertEqual(json.loads(peer.stdout.splitlines()[-1]),
                         {"good": [1, 7], "no certificate": "UNAVAILABLE", "another CA's": "UNAVAILABLE",
                          "trusts another CA": "UNAVAILABLE", "plaintext": "UNAVAILABLE"})
        self.said("gives no certificate: clients need --tls-cert and --tls-key")
        self.said("is not by the CA of")
        self.said("does not speak TLS, which is spoken here")

    def test_new_files_are_taken_up(self):
        self.pictures()
        process, at = self.start()
        trainer = self.options("site", "site/trainer")
        here = self.feed("--node", at, *trainer)
        self.opiml("pki", "init", "next")
        self.issue("next", "localhost,127.0.0.1")
        new = self.issue("next", "trainer")
        old_ca = shutil.copy(self.path("site", "ca.crt"), self.path("old.crt"))
        trainer = (*trainer[:4], "--tls-ca", old_ca)
        # While the new pair is not whole, the old one goes on.
        shutil.copy(self.path("next", "localhost.crt"), self.path("site", "localhost.crt"))
        process.send_signal(signal.SIGHUP)
        time.sleep(0.1)
        self.assertEqual(self.feed("--node", at, *trainer), here)
        self.said("is not the key of the certificate")
        for name in ("localhost.key", "ca.crt"):
            shutil.copy(self.path("next", name), self.path("site", name))
        time.sleep(1.1)
        self.assertEqual(self.feed("--node", at, *new), here)
        self.refused(at, trainer, 4, "is not by the CA of")
        self.assertIsNone(process.poll())

    # ---- those who do not ----

    def test_misfits(self):
        self.pictures()
        self.opiml("pki", "init", "other", "--name", "another site")
        other = self.issue("other", "trainer")
        trainer = self.options("site", "site/trainer")
        _, at = self.start()
        port = at.rsplit(":", 1)[1]
        self.refused(at, (), 5, "speaks TLS, and this end was not told to: give --tls-cert")
        self.refused(at, other, 4, "its certificate (CN=localhost, made by CN=the site) is not by the CA of")
        self.refused(at, (*other[:4], "--tls-ca", trainer[5]), 4,
                     "refuses this end's certificate (CN=trainer, made by CN=another site", "it does not know that CA")
        self.refused(at, self.options("site", "site/localhost"), 4, "it is not for this end's part")
        self.refused("127.1:" + port, trainer, 4, "its certificate is for localhost, 127.0.0.1, not for", "--name")
        for text in ("does not speak TLS, which is spoken here", "refuses this end's certificate", "is not by the CA of",
                     "(CN=localhost) is not for clients"):
            self.said(text)
        run = self.run_opiml("feed", "p.yaml", "--node", at, "--tls-ca", "site/ca.crt")
        self.assertEqual(run.returncode, 2, run.stderr)
        self.assertIn("--tls-key (or OPIML_TLS_KEY) is missing", run.stderr)

    def test_tls_at_a_node_without(self):
        self.pictures()
        process = subprocess.Popen([OPIML, "node", "start", "--listen", "127.0.0.1:0", "--data", "127.0.0.1:0"],
                                   stdout=subprocess.PIPE, stderr=open(self.path("log"), "wb"), text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        at = process.stdout.readline().split()[-1]
        self.refused(at, self.options("site", "site/trainer"), 5, "does not speak TLS: start it with --tls-cert")
        self.said("speaks TLS, and this end was not told to: give --tls-cert, --tls-key and --tls-ca")

    def test_how_a_node_starts(self):
        node = self.options("site", "site/localhost")
        for options, status, text in (
                (("--listen", "0.0.0.0:0"), 4, "`opiml pki` makes such files"), ((*node, "--insecure"), 2, "leave one"),
                (node[:4], 2, "--tls-ca (or OPIML_TLS_CA) is missing"),
                ((*node[:2], "--tls-key", self.path("site", "trainer.key"), *node[4:]), 2, "is not the key of")):
            run = self.run_opiml("node", "start", "--listen", "127.0.0.1:0", "--data", "127.0.0.1:0", *options)
            self.assertEqual(run.returncode, status, run.stderr)
            self.assertIn(text, run.stderr)
        process, at = self.start("--listen", "0.0.0.0:0", "--data", "0.0.0.0:0", *node)
        self.assertTrue(at.startswith("0.0.0.0:"))
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(10), 0)

    @needs_openssl
    def test_what_openssl_tries(self):
        _, at = self.start()
        mine = ("-cert", self.path("site", "trainer.crt"), "-key", self.path("site", "trainer.key"))
        for options, text in ((("-alpn", "h2"), "alert certificate required"),
                              (("-tls1_2", *mine), "alert protocol version"),
                              (("-alpn", "http/1.1", *mine), "alert no application protocol")):
            run = subprocess.run([OPENSSL, "s_client", "-ign_eof", "-connect", at, "-CAfile", self.path("site", "ca.crt"), *options],
                                 stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False)
            self.assertIn(text, run.stderr)
        self.said("gives no certificate")
        self.said("does not speak TLS 1.3")
        self.said("is that the right port?")

    def at_times(self, name, start, end):
        """A certificate by the site's CA for other times than `opiml pki issue` makes them for."""
        os.makedirs(self.path("made"), exist_ok=True)
        self.write("made/index.txt", "")
        config = self.write("ca.cnf", CA_CONFIG.format(folder=self.folder))
        for command in (("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                         "/CN=" + name, "-keyout", self.path(name + ".key"), "-out", self.path("made", "csr")),
                        ("ca", "-batch", "-config", config, "-cert", self.path("site", "ca.crt"), "-keyfile",
                         self.path("site", "ca.key"), "-startdate", start, "-enddate", end, "-notext", "-in",
                         self.path("made", "csr"), "-out", self.path(name + ".crt"))):
            subprocess.run([OPENSSL, *command], check=True, capture_output=True)
        return self.options("site", name)

    @needs_openssl
    def test_clocks_that_differ(self):
        self.pictures()
        old = self.at_times("old", "200101000000Z", "210101000000Z")
        young = self.at_times("young", "400101000000Z", "410101000000Z")
        trainer = self.options("site", "site/trainer")
        # The own one is looked at before anything else.
        for options, text in ((old, "has expired at 2021-01-01 00:00:00 UTC, and by this clock it is 20"),
                              (young, "is not valid before 2040-01-01 00:00:00 UTC, and by this clock it is 20")):
            for verb in (("node", "start"), ("feed", "p.yaml", "--node", "127.0.0.1:1")):
                run = self.run_opiml(*verb, *options)
                self.assertEqual(run.returncode, 4, run.stderr)
                self.assertIn(text, run.stderr)
        # The other end's: a server that does not care for its own, and a client.
        for options, text in ((old, "has expired at 2021-01-01"), (young, "is not valid before 2040-01-01")):
            server = Server(options)
            self.addCleanup(server.stop)
            self.refused(server.at, trainer, 4, text, "and by this clock it is 20")
        _, at = self.start()
        for options, alert, text in ((old, "certificate expired", "has expired at 2021-01-01"),
                                     (young, "bad certificate", "is not valid before 2040-01-01")):
            run = subprocess.run([OPENSSL, "s_client", "-ign_eof", "-connect", at, "-CAfile", self.path("site", "ca.crt"), "-alpn",
                                  "h2", "-cert", options[1], "-key", options[3]], stdin=subprocess.DEVNULL,
                                 capture_output=True, text=True, timeout=20, check=False)
            self.assertIn("alert " + alert, run.stderr)
            self.said(text)

    def test_another_server(self):
        self.pictures()
        server = Server(self.options("site", "site/localhost"))
        self.addCleanup(server.stop)
        self.refused(server.at, self.options("site", "site/trainer"), 5, "speaks TLS, but not opiml's h2 in it")


class Server:
    """A TLS server by Python, which knows no protocol by name."""

    def __init__(self, options):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options[1], options[3])
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.at = "127.0.0.1:%d" % self.listener.getsockname()[1]

        def run():
            try:
                connection, _ = self.listener.accept()
                with context.wrap_socket(connection, server_side=True) as wrapped:
                    wrapped.settimeout(5)
                    while wrapped.recv(4096):
                        pass
            except OSError:
                pass
        self.thread = threading.Thread(target=run)
        self.thread.start()

    def stop(self):
        self.listener.close()
        self.thread.join(20)


if __name__ == "__main__":
    unittest.main()
