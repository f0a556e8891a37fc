"""opiml export: ONNX models, accepted by onnx and run by ONNX Runtime; weights for PyTorch."""
import ctypes
import json
import os
import struct

from helper import Case, needs_peers, numpy, unittest

ROWS = """
opiml: 1
kind: pipeline
seed: 1
dataset: {uri: rows.bin, format: raw, fields: ["image:f32:%s", "label:%s"]}
batch: {size: 4}
"""
TRAIN = """
opiml: 1
kind: train
kernels: auto
data: {train: rows.yaml, eval: rows.yaml}
model: {name: %s, classes: 3}
loss: {name: %s}
optimizer: {lr: 0.01}
schedule: {epochs: 1}
out: run
%s
"""
IMAGES = ROWS % ("3x32x32", "i32")
VOLUMES = ROWS % ("1x16x16x8", "u8:16x16x8")

# Runs a model on the images of a raw file; logits go to a file as f32.
RUN = """
import sys, numpy, onnx, onnxruntime
model, images, logits, *shape = sys.argv[1:]
onnx.checker.check_model(onnx.load(model), full_check=True)
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
x = numpy.fromfile(images, "<f4").reshape(-1, *map(int, shape))
assert [i.name for i in session.get_inputs()] == ["image"]
one = session.run(["logits"], {"image": x[:1]})[0]
all = session.run(["logits"], {"image": x})[0]
assert numpy.allclose(one, all[:1], atol=1e-5)
all.astype("<f4").tofile(logits)
"""


def tensors(path):
    """Name → array of a safetensors file."""
    with open(path, "rb") as file:
        data = file.read()
    length, = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    header.pop("__metadata__", None)
    return {name: numpy.frombuffer(data[8 + length:][slice(*entry["data_offsets"])],
                                   "<f4").reshape(entry["shape"])
            for name, entry in header.items()}


class Export(Case):
    def train(self, model, pipeline, image, label, loss="cross_entropy", more=""):
        """Train on eight random samples; returns their images."""
        random = numpy.random.default_rng(1)
        rows = numpy.zeros(8, [("image", "<f4", image), label])
        rows["image"] = random.normal(size=(8, *image))
        rows["label"] = random.integers(0, 3, rows["label"].shape)
        self.write("rows.bin", rows.tobytes())
        self.write("rows.yaml", pipeline)
        self.write("t.yaml", TRAIN % (model, loss, more))
        self.opiml("train", "t.yaml", "--overwrite")
        return rows

    def library(self, function, image, *arguments):
        """Call the C library's opiml_model_predict or _segment on images."""
        lib = ctypes.CDLL(os.environ["OPIML_LIBRARY"])
        model, image = ctypes.c_void_p(), numpy.ascontiguousarray(image)
        path = self.path("run", "checkpoint.safetensors").encode()
        self.assertEqual(lib.opiml_model_open(path, 8, 1, ctypes.byref(model), None), 0)
        self.assertEqual(getattr(lib, function)(model, image.ctypes.data_as(ctypes.c_void_p),
                                                *arguments, None), 0)
        lib.opiml_model_close(model)

    def check(self, rows, score):
        """ONNX Runtime's logits give the loss that `opiml eval` gives."""
        images = rows["image"]
        images.tofile(self.path("images"))
        self.opiml("export", "run", "--out", "model.onnx")
        process = self.peer("-c", RUN, "model.onnx", "images", "logits",
                            *map(str, images.shape[1:]))
        self.assertEqual(process.returncode, 0, process.stdout)
        logits = numpy.fromfile(self.path("logits"), "<f4").reshape(len(rows), 3, -1)
        logits = logits.astype("f8")
        result = json.loads(self.opiml("eval", "run", "--json").stdout)
        labels = rows["label"].reshape(len(rows), -1)
        log = logits - logits.max(axis=1, keepdims=True)
        log -= numpy.log(numpy.exp(log).sum(axis=1, keepdims=True))
        log = numpy.maximum(log, numpy.log(1e-30))  # as the loss takes it
        cross = -numpy.take_along_axis(log, labels[:, None].astype("i8"), 1).mean()
        self.assertAlmostEqual(score(cross, numpy.exp(log), labels), result["loss"],
                               delta=1e-4 * max(1, result["loss"]))
        return logits

    @needs_peers
    def test_residual_networks(self):
        for model in ("resnet, depth: 8, width: 16", "resnet, width: 5, pool: max",
                      "resnet9, width: 16", "resnet50, width: 4"):
            rows = self.train(model, IMAGES, (3, 32, 32), ("label", "<i4"), more="ema: 0.5")
            logits = self.check(rows, lambda cross, *_: cross)[:, :, 0]
            expected = numpy.exp(logits - logits.max(axis=1, keepdims=True))
            expected /= expected.sum(axis=1, keepdims=True)
            ours = numpy.zeros((8, 3), "<f4")
            self.library("opiml_model_predict", rows["image"], ctypes.c_uint32(8),
                         ours.ctypes.data_as(ctypes.c_void_p))
            numpy.testing.assert_allclose(ours, expected, atol=1e-4)

    @needs_peers
    def test_unet3d(self):
        def score(cross, p, labels):
            dice = []
            for k in 1, 2:
                true = labels == k
                dice.append(1 - (2 * (p[:, k] * true).sum(axis=1) + 1e-6) /
                            (p[:, k].sum(axis=1) + true.sum(axis=1) + 1e-6))
            return (cross + numpy.mean(dice)) / 2

        rows = self.train("unet3d, width: 8, levels: 2", VOLUMES, (1, 16, 16, 8),
                          ("label", "u1", (16, 16, 8)), "dice_cross_entropy")
        logits = self.check(rows, score).reshape(8, 3, -1)
        for image, one in zip(rows["image"], logits):
            ours = numpy.zeros(16 * 16 * 8, "u1")
            self.library("opiml_model_segment", image, (ctypes.c_uint32 * 3)(16, 16, 8),
                         ctypes.c_double(0.5), ours.ctypes.data_as(ctypes.c_void_p))
            clear = numpy.diff(numpy.sort(one, axis=0), axis=0)[-1] > 1e-4
            numpy.testing.assert_array_equal(ours[clear], one.argmax(axis=0)[clear])

    def test_weights_alone(self):
        self.train("resnet, depth: 8, width: 4", IMAGES, (3, 32, 32), ("label", "<i4"))
        self.opiml("export", "run", "--out", "w.safetensors")
        run = tensors(self.path("run", "checkpoint.safetensors"))
        weights = tensors(self.path("w.safetensors"))
        self.assertEqual(set(weights), {name for name in run if not name.startswith("optimizer.")})
        for name, array in weights.items():
            numpy.testing.assert_array_equal(array, run[name])

    def test_a_name_that_says_nothing_is_refused(self):
        self.train("resnet, depth: 8, width: 4", IMAGES, (3, 32, 32), ("label", "<i4"))
        process = self.run_opiml("export", "run", "--out", "model")
        self.assertEqual(process.returncode, 2)
        self.assertIn("--format", process.stderr)
        self.opiml("export", "run", "--out", "model", "--format", "onnx")


if __name__ == "__main__":
    unittest.main()
