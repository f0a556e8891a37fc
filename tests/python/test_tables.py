"""Training on tables: numbers and categories in, AUC out, against counting pairs in NumPy."""
import ctypes
import json
import os

from helper import Case, needs_peers, numpy, unittest

PIPELINE = """
opiml: 1
kind: pipeline
seed: 5
dataset: {uri: %s.csv, format: csv, types: ["age:f32", "income:f32", "city:i32", "label:i32"]}
shuffle: {mode: global}
batch: {size: 64}
"""
TRAIN = """
opiml: 1
kind: train
threads: 1
data: {train: train.yaml, eval: test.yaml}
model: {name: mlp, levels: 2, width: 32, embedding: 4, buckets: 50}
loss: {name: binary_cross_entropy}
optimizer: {name: adamw, lr: 0.01}
schedule: {epochs: 6}
out: run
"""


RUN = """
import numpy, onnx, onnxruntime
onnx.checker.check_model(onnx.load("m.onnx"), full_check=True)
session = onnxruntime.InferenceSession("m.onnx", providers=["CPUExecutionProvider"])
rows = numpy.fromfile("rows", "<f4").reshape(-1, 3, 1, 1)
session.run(["logits"], {"image": rows})[0].astype("<f4").tofile("logits")
"""


class Tables(Case):
    def setUp(self):
        super().setUp()
        random = numpy.random.default_rng(3)
        effect = random.normal(size=50)  # of each city
        self.tables = {}
        for name, rows in ("train", 4000), ("test", 1000):
            age, income = random.normal(size=(2, rows)).astype("f4")
            city = random.integers(0, 50, rows)
            logit = 2 * effect[city] + age * income
            label = (logit + random.logistic(size=rows) > 0).astype("i4")
            with open(self.path(name + ".csv"), "w") as file:
                file.write("age,income,city,label\n")
                for row in zip(age, income, city, label):
                    file.write("%r,%r,%d,%d\n" % tuple(x.item() for x in row))
            self.tables[name] = age, income, city, label
            self.write(name + ".yaml", PIPELINE % name)
        self.write("t.yaml", TRAIN)

    def test_categories_and_products_are_learned(self):
        result = json.loads(self.opiml("train", "t.yaml", "--json").stdout)
        again = json.loads(self.opiml("eval", "run", "--json").stdout)
        self.assertGreater(again["auc"], 0.85)  # 0.5 is chance; of the true logit it is about 0.9
        self.assertAlmostEqual(again["auc"], result["eval_auc"], delta=1e-6)
        self.assertNotIn("top5", again)
        age, income, city, label = self.tables["test"]
        rows = numpy.ascontiguousarray(numpy.stack([age, income, city.astype("f4")], axis=1))
        ours = self.predict(rows)[:, 1]
        positive, negative = ours[label == 1][:, None], ours[label == 0][None]
        auc = ((positive > negative) + (positive == negative) / 2).mean()
        self.assertAlmostEqual(auc, again["auc"], delta=2e-3)
        self.assertAlmostEqual(((ours > 0.5) == label).mean(), again["accuracy"], delta=2e-3)

    def predict(self, rows):
        lib = ctypes.CDLL(os.environ["OPIML_LIBRARY"])
        model, to = ctypes.c_void_p(), numpy.zeros((len(rows), 2), "f4")
        path = self.path("run", "checkpoint.safetensors").encode()
        self.assertEqual(lib.opiml_model_open(path, 100, 1, ctypes.byref(model), None), 0)
        self.assertEqual(lib.opiml_model_predict(
            model, rows.ctypes.data_as(ctypes.c_void_p), ctypes.c_uint32(len(rows)),
            to.ctypes.data_as(ctypes.c_void_p), None), 0)
        lib.opiml_model_close(model)
        numpy.testing.assert_allclose(to.sum(axis=1), 1, rtol=1e-5)
        return to

    def test_several_classes(self):
        self.opiml("data", "make", "table", "--out", "rows", "--count", "2000", "--classes", "3")
        for name in "train", "test":
            self.write(name + ".yaml", "opiml: 1\nkind: pipeline\nseed: 1\n"
                       f"dataset: {{uri: rows/{name}.csv, format: csv, types: [\"label:i32\"]}}\n"
                       "shuffle: {mode: global}\nbatch: {size: 64}\n")
        self.write("t.yaml", TRAIN.replace("binary_cross_entropy", "cross_entropy")
                   .replace("buckets: 50", "classes: 3"))
        result = json.loads(self.opiml("train", "t.yaml", "--json").stdout)
        self.assertGreater(result["eval_accuracy"], 0.7)
        self.assertIsNone(result["eval_auc"])

    def test_mistakes_are_told(self):
        for old, new, what in (("mlp, levels: 2", "resnet", "binary_cross_entropy is for"),
                               ("label:i32", "label:f32", "cast: {field: label, to: i32}"),
                               ("city:i32", "city:text", "city")):
            self.write("t.yaml", TRAIN.replace(old, new))
            for name in "train", "test":
                self.write(name + ".yaml", (PIPELINE % name).replace(old, new))
            process = self.run_opiml("train", "t.yaml")
            self.assertEqual(process.returncode, 2, process.stderr)
            self.assertIn(what, process.stderr)

    @needs_peers
    def test_onnx_runtime_agrees(self):
        self.opiml("train", "t.yaml", "--epochs", "1")
        self.opiml("export", "run", "--out", "m.onnx")
        age, income, city, _ = self.tables["test"]
        rows = numpy.ascontiguousarray(numpy.stack([age, income, city.astype("f4")], axis=1))
        rows.tofile(self.path("rows"))
        process = self.peer("-c", RUN)
        self.assertEqual(process.returncode, 0, process.stdout)
        logits = numpy.fromfile(self.path("logits"), "<f4")
        numpy.testing.assert_allclose(self.predict(rows)[:, 1], 1 / (1 + numpy.exp(-logits)),
                                      atol=1e-5)


if __name__ == "__main__":
    unittest.main()
