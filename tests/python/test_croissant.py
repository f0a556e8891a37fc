"""Metadata that `opiml data describe` writes: what the specification asks for, and MLCommons' own
library (tools/peers.txt) reads the records that they describe."""
import json
import os
import subprocess

from helper import Case, PEERS, numpy, picture, png, unittest

OPIML = os.environ["OPIML"]
READ = """
import itertools, json, sys, mlcroissant
dataset = mlcroissant.Dataset(jsonld=sys.argv[1])
rows = itertools.islice(dataset.records("records"), 100) if sys.argv[2] == "records" else []
print(json.dumps({"errors": list(dataset.metadata.ctx.issues.errors),
                  "rows": [{name: value.decode("latin-1") if isinstance(value, bytes)
                            else value.item() if hasattr(value, "item") else str(value)
                            for name, value in row.items()} for row in rows]}))
"""
REQUIRED = ("@context", "@type", "conformsTo", "name", "description", "license", "url", "creator", "datePublished")


class Croissant(Case):
    def describe(self, uri, to):
        subprocess.run([OPIML, "data", "describe", uri, "--out", to, "--license", "https://example.org/license",
                        "--url", "https://example.org/", "--creator", "somebody", "--published", "2026-01-31"],
                       check=True, timeout=60)
        with open(to, encoding="utf-8") as file:
            document = json.load(file)
        for key in REQUIRED:
            self.assertIn(key, document)
        return document

    def records(self, path, what="records"):
        """What the library makes of it; it has nothing but recommendations to say."""
        process = self.peer("-c", READ, path, what)
        self.assertEqual(process.returncode, 0, process.stdout)
        got = json.loads(process.stdout.splitlines()[-1])
        self.assertEqual(got["errors"], [])
        return got["rows"]

    def table(self):
        random = numpy.random.default_rng(5)
        return [{"label": int(n), "x": float(random.normal()), "text": f"row {n}"} for n in range(20)]

    def test_csv(self):
        rows = self.table()
        self.write("d/a.csv", "label,x,text\n" + "".join(f"{r['label']},{r['x']!r},{r['text']}\n" for r in rows))
        document = self.describe(self.path("d", "a.csv"), self.path("d", "croissant.json"))
        types = {field["name"]: field["dataType"] for field in document["recordSet"][0]["field"]}
        self.assertEqual(types, {"label": "cr:Int64", "x": "cr:Float64", "text": "sc:Text"})
        if os.path.exists(PEERS):
            got = self.records(self.path("d", "croissant.json"))
            self.assertEqual(got, [{f"records/{k}": v for k, v in row.items()} for row in rows])

    def test_jsonl(self):
        rows = self.table()
        self.write("d/a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        self.describe(self.path("d"), self.path("d", "croissant.json"))
        if os.path.exists(PEERS):
            got = self.records(self.path("d", "croissant.json"))
            numpy.testing.assert_allclose([row["records/x"] for row in got], [row["x"] for row in rows],
                                          rtol=1e-14)  # pandas reads numbers in JSON to a few ulps

    def test_images(self):
        for number in range(6):
            self.write(f"d/{'ab'[number % 2]}/{number}.png", png(picture(8, 8, number)))
        self.describe(self.path("d"), self.path("d", "croissant.json"))
        if os.path.exists(PEERS):
            got = self.records(self.path("d", "croissant.json"))
            self.assertEqual(sorted(row["records/label"] for row in got), ["a"] * 3 + ["b"] * 3)

    def test_arrays(self):
        """Files that the library does not read are described all the same."""
        numpy.savez(self.path("a.npz"), x=numpy.zeros((4, 3, 2), "f2"), y=numpy.zeros(4, "u2"))
        self.write("p.yaml", "dataset: {uri: a.npz, format: npz, records: row}\n")
        document = self.describe(self.path("p.yaml"), self.path("croissant.json"))
        fields = document["recordSet"][0]["field"]
        self.assertEqual([(f["name"], f["dataType"], f.get("arrayShape")) for f in fields],
                         [("x", "cr:Float16", "3,2"), ("y", "cr:UInt16", None)])
        if os.path.exists(PEERS):
            self.assertEqual(self.records(self.path("croissant.json"), "nothing"), [])


if __name__ == "__main__":
    unittest.main()
