"""Data sets in S3: the same records in the same order as from files, whatever the server does; against moto,
a proxy that makes trouble, and Ceph's radosgw."""
import json
import os
import socket
import ssl
import subprocess
import tarfile
import threading
import time

import radosgw
from helper import Case, PEERS, needs_peers, opiml, unittest
from s3_proxy import Proxy, answer, cut, drip, refuse

OPIML = os.environ["OPIML"]
BUCKET = "opiml-test"

PIPELINE = """
opiml: 1
kind: pipeline
seed: 5
dataset: {uri: "%s"}
shuffle: {mode: global}
batch: {size: 32}
"""

PICTURES = PIPELINE + """
ops:
  - decode: {}
  - center_crop: {size: [24, 24]}
  - random_flip: {p: 0.5}
"""

# With boto3: FOLDER's files, those below too, into a bucket, or what is written after their names.
UPLOAD = """
import os, sys, boto3
from botocore.config import Config
s3 = boto3.client("s3", region_name="us-east-1", config=Config(s3={"addressing_style": "path"}))
bucket, folder = sys.argv[1:3]
try:
    s3.create_bucket(Bucket=bucket)
except s3.exceptions.BucketAlreadyOwnedByYou:
    pass
for at, _, names in os.walk(folder):
    for name in names:
        path = os.path.join(at, name)
        s3.upload_file(path, bucket, os.path.relpath(path, folder))
"""


class S3(Case):
    def setUp(self):
        super().setUp()
        before = {name: value for name, value in os.environ.items()
                  if name.startswith(("AWS_", "OPIML_S3_")) or name.lower().endswith("_proxy")}
        for name in before:
            del os.environ[name]
        self.addCleanup(self.restore, before)
        os.environ.update(AWS_ACCESS_KEY_ID="testaccess", AWS_SECRET_ACCESS_KEY="testsecret",
                          AWS_CONFIG_FILE=self.path("none"), AWS_SHARED_CREDENTIALS_FILE=self.path("none"),
                          OPIML_S3_DEADLINE="30", OPIML_S3_STALL="20")

    @staticmethod
    def restore(before):
        for name in [name for name in os.environ if name.startswith(("AWS_", "OPIML_S3_"))]:
            del os.environ[name]
        os.environ.update(before)

    def upload(self, folder):
        env = dict(os.environ, AWS_ENDPOINT_URL_S3=self.upstream, AWS_ACCESS_KEY_ID="testaccess",
                   AWS_SECRET_ACCESS_KEY="testsecret")
        run = self.peer("-c", UPLOAD, BUCKET, folder, env=env)
        self.assertEqual(run.returncode, 0, run.stdout)

    def pictures(self, count=100):
        self.opiml("data", "make", "images", "--out", "data", "--count", str(count), "--test", "0", "--size", "32")

    def run_feed(self, uri, text=PICTURES, *options):
        return self.run_opiml("feed", self.write("p.yaml", text % uri), "--json", "--digest", *options)

    def feed(self, uri, text=PICTURES, *options):
        run = self.run_feed(uri, text, *options)
        self.assertEqual(run.returncode, 0, run.stderr)
        return json.loads(run.stdout)

    def refused(self, status, *words, uri=f"s3://{BUCKET}/data/train", text=PICTURES):
        """A feed that ends so; its message has all of the words, and none of the secret ones."""
        run = self.run_feed(uri, text)
        self.assertEqual(run.returncode, status, run.stderr)
        for word in words:
            self.assertIn(word, run.stderr)
        self.assertNotIn("testsecret", run.stderr)
        return run.stderr


@needs_peers
class Moto(S3):
    """One server for all tests of a class, which begin with it empty."""

    @classmethod
    def setUpClass(cls):
        port = radosgw.free_port()
        program = os.path.join(os.path.dirname(PEERS), "moto_server")
        cls.process = subprocess.Popen([program, "-H", "127.0.0.1", "-p", str(port)],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cls.addClassCleanup(cls.process.wait)
        cls.addClassCleanup(cls.process.kill)
        cls.place = ("127.0.0.1", port)
        cls.upstream = f"http://127.0.0.1:{port}"
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(cls.place, 1).close()
                return
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)

    def setUp(self):
        super().setUp()
        import http.client
        connection = http.client.HTTPConnection(*self.place, timeout=30)
        connection.request("POST", "/moto-api/reset")
        self.assertEqual(connection.getresponse().status, 200)
        connection.close()
        self.proxy = Proxy(self.place)
        self.addCleanup(self.proxy.close)
        os.environ["AWS_ENDPOINT_URL_S3"] = self.proxy.endpoint

    def put(self, key, body):
        """Straight to the server."""
        import http.client
        connection = http.client.HTTPConnection(*self.place, timeout=30)
        signature = ("AWS4-HMAC-SHA256 Credential=testaccess/20260101/us-east-1/s3/aws4_request, "
                     "SignedHeaders=host, Signature=none")  # which this server does not look at
        connection.request("PUT", f"/{BUCKET}/{key}", body, {"Authorization": signature})
        self.assertEqual(connection.getresponse().status, 200)
        connection.close()

    # ---- the same as files ----

    def test_records_are_those_of_the_files(self):
        self.pictures()
        os.mkdir(self.path("tables"))
        for part in range(3):
            self.write(f"tables/t-{part}.csv",
                       "a,b\n" + "".join(f"{i},{i * part / 3}\n" for i in range(200)))
        with tarfile.open(self.path("tables/x.tar"), "w") as tar:
            tar.add(self.path("data/train"), "t")
        self.upload(self.folder)
        for name, text in (("data/train", PICTURES), ("tables/*.csv", PIPELINE),
                           ("tables/t-{0..2}.csv", PIPELINE), ("tables/t-1.csv", PIPELINE),
                           ("tables/x.tar", PICTURES)):
            here = self.feed(name, text, "--epochs", "2")
            there = self.feed(f"s3://{BUCKET}/{name}", text, "--epochs", "2")
            self.assertEqual(there["digest"], here["digest"], name)
            self.assertEqual(there["samples"], here["samples"])
        # By Python too, and the index is there already.
        before = len(self.proxy.seen)
        with opiml.Pipeline(self.write("p.yaml", PICTURES % f"s3://{BUCKET}/data/train")) as pipeline:
            rows = sum(len(batch["label"]) for batch in pipeline)
        self.assertEqual(rows, 100)
        lists = [path for _, path, _ in self.proxy.seen[before:] if "list-type=2" in path]
        self.assertEqual(len(lists), 2, lists)  # is it a folder; has anything in it changed

    def test_of_a_sample_the_others_are_not_asked_for(self):
        self.pictures(200)
        self.upload(self.folder)
        for choice, records in ("sample: {fraction: 0.1, per_epoch: true}", 20), ("take: {count: 15, from: 30}", 15):
            text = PICTURES.replace("ops:", "ops:\n  - " + choice)
            here = self.feed("data/train", text, "--epochs", "2")
            before = len(self.proxy.seen)
            there = self.feed(f"s3://{BUCKET}/data/train", text, "--epochs", "2")
            gets = [path for _, path, _ in self.proxy.seen[before:] if "list-type=2" not in path and ".jpg" in path]
            self.assertEqual(there["digest"], here["digest"])
            self.assertEqual(there["samples"], 2 * records)
            self.assertEqual(len(gets), 2 * records, gets)

    def test_names_of_all_kinds(self):
        names = ["a b.csv", "a+b.csv", "100%.csv", "é€😀.csv", "x&y=z?#.csv", "p/q/r.csv", "~!'()*;:@,$.csv",
                 "<x>\"y\".csv"]
        for i, name in enumerate(names):
            self.write(f"t/{name}", f"a\n{i}\n")
        self.write("t/.hidden.csv", "b\n1\n")
        self.upload(self.folder)
        self.assertEqual(self.feed(f"s3://{BUCKET}/t", PIPELINE)["digest"], self.feed("t", PIPELINE)["digest"])

    def test_more_objects_than_a_page(self):
        for i in range(150):
            self.write(f"t/{i % 7}/{i}.csv", f"a\n{i}\n")
        self.upload(self.folder)

        def shorter(handler):
            handler.path = handler.path.replace("max-keys=1000", "max-keys=40")
            return False

        self.proxy.instead = shorter
        self.assertEqual(self.feed(f"s3://{BUCKET}/t", PIPELINE)["digest"], self.feed("t", PIPELINE)["digest"])

    def test_a_run_goes_on_where_it_stopped(self):
        self.pictures()
        self.upload(self.folder)
        uri = f"s3://{BUCKET}/data/train"
        whole = self.feed(uri)["digest"]
        self.feed(uri, PICTURES, "--limit", "64", "--state", "state")
        self.assertEqual(self.feed("data/train", PICTURES, "--state", "state")["digest"], whole)

    # ---- changes ----

    def test_what_has_changed_is_noticed(self):
        self.pictures()
        self.upload(self.folder)
        uri = f"s3://{BUCKET}/data/train"
        first = self.feed(uri)["digest"]
        with open(self.path("data/train/ring/000006.jpg"), "rb") as file:
            other = file.read()
        self.put("data/train/star/new.jpg", other)
        self.assertEqual(self.feed(uri)["samples"], 101)
        self.write("data/train/star/new.jpg", other)
        self.assertEqual(self.feed(uri)["digest"], self.feed("data/train")["digest"])
        self.assertNotEqual(self.feed(uri)["digest"], first)

    def test_what_changes_meanwhile_is_a_bad_record(self):
        self.pictures()
        self.upload(self.folder)
        with open(self.path("data/train/ring/000006.jpg"), "rb") as file:
            other = file.read()
        changed = []

        def change(handler):
            if "000007.jpg" in handler.path and not changed:
                changed.append(handler.path)
                self.put(handler.path.split("/", 2)[2], other + b"x")
            return False

        self.proxy.instead = change
        self.refused(6, "000007.jpg: changed since it was indexed")
        self.assertTrue(changed)
        self.assertTrue(any("If-Match" in headers or "if-match" in headers for _, _, headers in self.proxy.seen))

    # ---- trouble ----

    def test_trouble_that_passes(self):
        self.pictures()
        self.upload(self.folder)
        here = self.feed("data/train")["digest"]
        lock, kinds = threading.Lock(), iter(["busy", "cut", "gone", "busy", "cut", "internal"] * 4)

        def trouble(handler):
            if ".jpg" not in handler.path or handler.command != "GET":
                return False
            with lock:
                kind = next(kinds, None)
            if kind == "busy":
                return refuse(handler, 503, "SlowDown")
            if kind == "internal":
                return refuse(handler, 500, "InternalError")
            if kind == "cut":
                return cut(handler, *self.proxy.ask(handler))
            if kind == "gone":
                handler.close_connection = True
                return True
            return False

        self.proxy.instead = trouble
        run = self.feed(f"s3://{BUCKET}/data/train")
        self.assertEqual(run["digest"], here)
        self.assertEqual(run["errors"], 0)
        self.assertIsNone(next(kinds, None))

    def test_trouble_that_stays_is_told(self):
        self.pictures(50)
        self.upload(self.folder)
        endpoint, key = self.proxy.endpoint, f"s3://{BUCKET}/data/train/"
        self.feed(f"s3://{BUCKET}/data/train")  # the index is there
        os.environ.update(OPIML_S3_DEADLINE="3", OPIML_S3_STALL="2")

        def only_objects(what):
            return lambda handler: ".jpg" in handler.path and what(handler)

        for what, status, words in (
                (lambda handler: refuse(handler, 503, "SlowDown"), 5, ["503 SlowDown (as tested) (tried"]),
                (lambda handler: refuse(handler, 403, "AccessDenied"), 6, ["403 AccessDenied", "need s3:GetObject"]),
                (lambda handler: refuse(handler, 404, "NoSuchKey"), 6, ["404 NoSuchKey", "it is not there"]),
                (lambda handler: refuse(handler, 301, "PermanentRedirect", [("x-amz-bucket-region", "eu-west-9")]), 6,
                 ["set AWS_REGION=eu-west-9"]),
                (lambda handler: drip(handler, *self.proxy.ask(handler), seconds=8), 8, ["Less than 1024 bytes/sec"]),
                (lambda handler: cut(handler, *self.proxy.ask(handler)), 5, ["the connection was cut"])):
            self.proxy.instead = only_objects(what)
            self.refused(status, endpoint, key, *words)

    def test_trouble_at_the_beginning_is_told(self):
        self.pictures(20)
        self.upload(self.folder)
        uri = f"s3://{BUCKET}/data/train"
        os.environ.update(OPIML_S3_DEADLINE="3", OPIML_S3_STALL="2")
        for what, status, words in (
                (lambda handler: refuse(handler, 503, "SlowDown"), 5, ["answers 503", "OPIML_S3_DEADLINE gives more"]),
                (lambda handler: refuse(handler, 403, "SignatureDoesNotMatch"), 4, ["check AWS_SECRET_ACCESS_KEY"]),
                (lambda handler: refuse(handler, 301, "PermanentRedirect", [("x-amz-bucket-region", "eu-west-9")]), 2,
                 ["301", "set AWS_REGION=eu-west-9"]),
                (lambda handler: answer(handler, 200, [], b"<html>hello</html>") or True, 5, ["tells no ETag"])):
            self.proxy.instead = what
            self.refused(status, uri, self.proxy.endpoint, *words)
        self.proxy.instead = None
        self.refused(3, "404 NoSuchBucket", uri="s3://no-such-bucket")
        self.refused(3, "no such object, and none whose key begins with dota/", uri=f"s3://{BUCKET}/dota")
        os.environ["AWS_ENDPOINT_URL_S3"] = "http://127.0.0.1:1"
        self.refused(5, "http://127.0.0.1:1", "check AWS_ENDPOINT_URL_S3")

    # ---- ways there ----

    def certificate(self, name, ca=None, days=1):
        """name.pem and name.key, by a CA of the same making or of their own."""
        def openssl(*arguments):
            subprocess.run(["openssl", *arguments], check=True, cwd=self.folder, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
        if not ca:
            openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                    "-days", str(days), "-keyout", f"{name}.key", "-out", f"{name}.pem")
            return
        self.write("names", "subjectAltName=IP:127.0.0.1\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                "-keyout", f"{name}.key", "-out", f"{name}.csr")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial",
                "-days", str(days), "-extfile", "names", "-out", f"{name}.pem")

    def secure(self, name):
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self.path(f"{name}.pem"), self.path(f"{name}.key"))
        proxy = Proxy(self.place, tls=tls)
        self.addCleanup(proxy.close)
        return proxy

    def test_tls(self):
        self.pictures(20)
        self.upload(self.folder)
        self.certificate("ca")
        self.certificate("other")
        self.certificate("server", "ca")
        self.certificate("old", "ca", days=0)  # over before it is used; OpenSSL 3.5 takes no days before
        proxy = self.secure("server")
        os.environ["AWS_ENDPOINT_URL_S3"] = proxy.endpoint
        self.refused(4, proxy.endpoint, "no trusted connection", "AWS_CA_BUNDLE names the file")
        os.environ["AWS_CA_BUNDLE"] = self.path("other.pem")
        self.refused(4, proxy.endpoint, "no trusted connection")
        os.environ["AWS_CA_BUNDLE"] = self.path("missing.pem")
        self.refused(4, "missing.pem")
        os.environ["AWS_CA_BUNDLE"] = self.path("ca.pem")
        self.assertEqual(self.feed(f"s3://{BUCKET}/data/train")["digest"], self.feed("data/train")["digest"])
        os.environ["AWS_ENDPOINT_URL_S3"] = self.secure("old").endpoint
        self.refused(4, "no trusted connection", "expired")
        # Neither side's protocol fits the other's.
        os.environ["AWS_ENDPOINT_URL_S3"] = proxy.endpoint.replace("https", "http")
        self.refused(5, "http://127.0.0.1")
        os.environ["AWS_ENDPOINT_URL_S3"] = self.proxy.endpoint.replace("http", "https")
        self.refused(5, "https://127.0.0.1")

    def test_ipv6_and_buckets_in_the_host(self):
        self.pictures(20)
        self.upload(self.folder)
        here = self.feed("data/train")["digest"]
        os.environ["OPIML_S3_ADDRESSING"] = "virtual"
        os.environ["AWS_ENDPOINT_URL_S3"] = f"http://localhost:{self.proxy.port}"
        self.assertEqual(self.feed(f"s3://{BUCKET}/data/train")["digest"], here)
        self.assertTrue(all(headers.get("Host", headers.get("host")) == f"{BUCKET}.localhost:{self.proxy.port}"
                            for _, _, headers in self.proxy.seen))
        del os.environ["OPIML_S3_ADDRESSING"]
        try:
            proxy = Proxy(self.place, "::1")
        except OSError:
            self.skipTest("no IPv6 on this machine")
        self.addCleanup(proxy.close)
        os.environ["AWS_ENDPOINT_URL_S3"] = proxy.endpoint
        self.assertEqual(self.feed(f"s3://{BUCKET}/data/train")["digest"], here)

    def test_keys_of_a_profile(self):
        self.pictures(20)
        self.upload(self.folder)
        del os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
        os.environ["AWS_SHARED_CREDENTIALS_FILE"] = self.write(
            "keys", "[mine]\naws_access_key_id = MINE\naws_secret_access_key = testsecret\naws_session_token = T0KEN\n")
        os.environ["AWS_PROFILE"] = "mine"
        self.feed(f"s3://{BUCKET}/data/train")
        headers = {name.lower(): value for name, value in self.proxy.seen[-1][2].items()}
        self.assertEqual(headers["x-amz-security-token"], "T0KEN")
        self.assertRegex(headers["authorization"],
                         r"^AWS4-HMAC-SHA256 Credential=MINE/\d{8}/us-east-1/s3/aws4_request, SignedHeaders=")
        del os.environ["AWS_PROFILE"]
        self.proxy.seen.clear()
        self.run_feed(f"s3://{BUCKET}/data/train")
        self.assertFalse(any("Authorization" in headers or "authorization" in headers
                             for _, _, headers in self.proxy.seen))

    def test_a_node_serves_no_buckets_unless_told(self):
        self.pictures(20)
        self.upload(self.folder)
        pipeline = self.write("p.yaml", PICTURES % f"s3://{BUCKET}/data/train")
        run = self.run_opiml("feed", pipeline, "--node", self.node(self.folder))
        self.assertEqual(run.returncode, 0, run.stderr)  # it is done here instead
        self.assertIn("nothing that is served here", run.stderr)
        here = self.feed("data/train")["digest"]
        at = self.node(f"{self.folder}:s3://{BUCKET}/data/")
        self.assertEqual(self.feed(f"s3://{BUCKET}/data/train", PICTURES, "--node", at)["digest"], here)

    def node(self, roots):
        """The address of one that serves these."""
        node = subprocess.Popen([OPIML, "node", "start", "--listen", "127.0.0.1:0", "--data", "127.0.0.1:0",
                                 "--roots", roots], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(node.stdout.close)
        self.addCleanup(node.stderr.close)
        self.addCleanup(node.wait)
        self.addCleanup(node.kill)
        said = node.stdout.readline()
        if not said:
            self.skipTest("built without the node")
        return said.split()[-1]


@needs_peers
@unittest.skipIf(radosgw.missing(), "no Ceph (packages ceph-mon, ceph-osd, ceph-common and radosgw)")
class Ceph(S3):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(radosgw.Radosgw())
        cls.upstream = cls.server.endpoint

    def test_a_real_server(self):
        os.environ["AWS_ENDPOINT_URL"] = self.upstream
        self.pictures()
        self.write("t/a b+é%.csv", "a\n" + "".join(f"{i}\n" for i in range(3000)))
        self.write("t/100%.csv", "a\n1\n")
        self.upload(self.folder)
        for name, text in (("data/train", PICTURES), ("t", PIPELINE), ("t/a*.csv", PIPELINE)):
            self.assertEqual(self.feed(f"s3://{BUCKET}/{name}", text)["digest"], self.feed(name, text)["digest"], name)
        with open(self.path("data/train/ring/000006.jpg"), "rb") as file:
            self.write("data/train/star/more.jpg", file.read())
        self.upload(self.folder)
        self.assertEqual(self.feed(f"s3://{BUCKET}/data/train")["samples"], 101)
        self.refused(3, "404 NoSuchBucket", uri="s3://no-such-bucket")
        os.environ["AWS_SECRET_ACCESS_KEY"] = "wrong"
        self.refused(4, "403 SignatureDoesNotMatch", "check AWS_SECRET_ACCESS_KEY")
        os.environ["AWS_ACCESS_KEY_ID"] = "nobody"
        self.refused(4, "403 InvalidAccessKeyId")
        os.environ["AWS_NO_SIGN_REQUEST"] = "true"
        self.refused(4, "403 AccessDenied", "asked in nobody's name")


if __name__ == "__main__":
    unittest.main()
