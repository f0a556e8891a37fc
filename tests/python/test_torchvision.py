"""ResNet-50's weights go both ways: torchvision's give the same outputs here, and a checkpoint of
ours is one that torchvision's model loads."""
import ctypes
import json
import os
import struct
import warnings

from helper import Case, numpy, unittest

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch
        import torchvision
except ImportError:
    torch = None

CLASSES, SIDE = 10, 64
TRAIN = """
opiml: 1
kind: train
data: {train: images.yaml}
model: {name: resnet50, width: 64, classes: 10}
optimizer: {lr: 0.01}
schedule: {epochs: 1}
out: run
"""


def write_safetensors(path, tensors, metadata):
    """The format's description: a JSON header's length, the header, the tensors one by one."""
    header, at = {"__metadata__": metadata}, 0
    for name, array in tensors.items():
        header[name] = {"dtype": {"f": "F32", "i": "I64"}[array.dtype.kind], "shape": list(array.shape),
                        "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in tensors.values():
            file.write(array.tobytes())


def read_safetensors(path):
    with open(path, "rb") as file:
        length, = struct.unpack("<Q", file.read(8))
        header, data = json.loads(file.read(length)), file.read()
    header.pop("__metadata__")
    return {name: numpy.frombuffer(data[slice(*entry["data_offsets"])], "<f4")
            .reshape(entry["shape"]) for name, entry in header.items()}


def predict(path, images):
    """Log-probabilities of [n, 3, height, width] by the library's C interface."""
    library = ctypes.CDLL(os.environ["OPIML_LIBRARY"])
    model, error = ctypes.c_void_p(), ctypes.create_string_buffer(4096)
    rows = len(images)
    result = numpy.empty((rows, CLASSES), "<f4")
    if library.opiml_model_open(path.encode(), rows, 2, ctypes.byref(model), error) < 0:
        raise AssertionError(error.raw[4:].split(b"\0")[0].decode())
    try:
        if library.opiml_model_predict(model, images.ctypes.data_as(ctypes.c_void_p), rows,
                                       result.ctypes.data_as(ctypes.c_void_p), error) < 0:
            raise AssertionError(error.raw[4:].split(b"\0")[0].decode())
    finally:
        library.opiml_model_close(model)
    return numpy.log(result)


@unittest.skipUnless(torch, "torchvision (python3-torchvision) is not installed")
class ResNet50(Case):
    def model(self):
        torch.manual_seed(3)
        model = torchvision.models.resnet50(num_classes=CLASSES)
        for module in model.modules():  # statistics that are not all the same
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.uniform_(-0.1, 0.1)
                module.running_var.uniform_(0.5, 2)
                module.weight.data.uniform_(0.5, 1)
                module.bias.data.uniform_(-0.1, 0.1)
        return model.eval()

    def logits(self, model, images):
        with torch.no_grad():
            return torch.log_softmax(model(torch.from_numpy(images)), 1).numpy()

    def assert_alike(self, ours, theirs):
        apart = numpy.abs(ours - theirs).max() / numpy.abs(theirs).max()
        self.assertLess(apart, 1e-4)
        self.assertGreater(numpy.ptp(theirs), 0.1)  # there is something to tell apart

    def test_their_weights(self):
        model, path = self.model(), self.path("theirs.safetensors")
        weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()
                   if not name.endswith("num_batches_tracked")}
        write_safetensors(path, weights, {
            "format": "opiml-checkpoint-1", "name": "resnet50", "depth": "8", "width": "64",
            "pool": "mean", "classes": str(CLASSES), "channels": "3", "height": str(SIDE),
            "image_width": str(SIDE)})
        images = numpy.random.default_rng(1).normal(size=(3, 3, SIDE, SIDE)).astype("<f4")
        self.assert_alike(predict(path, images), self.logits(model, images))

    def test_training_goes_on_from_their_weights(self):
        model, classes = self.model(), CLASSES + 2
        write_safetensors(self.path("theirs.safetensors"), {  # num_batches_tracked and all
            name: tensor.numpy() for name, tensor in model.state_dict().items()}, {})
        self.make_images()
        for kept in True, False:
            text = TRAIN.replace("lr: 0.01", "lr: 1.0e-9") + "weights: theirs.safetensors\n"
            self.write("train.yaml", text if kept else text.replace("classes: 10",
                                                                    f"classes: {classes}"))
            process = self.opiml("train", "train.yaml", "--overwrite")
            ours = read_safetensors(self.path("run", "checkpoint.safetensors"))
            numpy.testing.assert_allclose(ours["layer3.2.conv2.weight"],
                                          model.layer3[2].conv2.weight.detach().numpy(), atol=1e-6)
            self.assertEqual("last layer" in process.stderr, not kept)
            self.assertEqual(ours["fc.bias"].shape, (CLASSES if kept else classes,))
        self.write("train.yaml", TRAIN.replace("resnet50", "resnet9") + "weights: theirs.safetensors\n")
        process = self.run_opiml("train", "train.yaml", "--overwrite")
        self.assertEqual(process.returncode, 2, process.stderr)
        self.assertIn("theirs.safetensors: tensor", process.stderr)

    def make_images(self):
        self.opiml("data", "make", "images", "--out", "data", "--count", "10", "--test", "10",
                   "--size", str(SIDE), "--seed", "1")
        self.write("images.yaml", f"""
opiml: 1
kind: pipeline
dataset: {{uri: data/train, format: image-folder}}
ops:
  - decode: {{}}
  - resize: {{size: [{SIDE}, {SIDE}]}}
  - normalize: {{to: f32, layout: nchw}}
batch: {{size: 10}}
""")

    def test_our_weights(self):
        self.make_images()
        self.write("train.yaml", TRAIN)
        self.opiml("train", "train.yaml")
        path = self.path("run", "checkpoint.safetensors")
        ours = {name: torch.from_numpy(array.copy()) for name, array in
                read_safetensors(path).items() if not name.startswith("optimizer.")}
        model = torchvision.models.resnet50(num_classes=CLASSES)
        for name, tensor in model.state_dict().items():
            if name.endswith("num_batches_tracked"):
                ours[name] = tensor
        model.load_state_dict(ours, strict=True)
        images = numpy.random.default_rng(2).normal(size=(3, 3, SIDE, SIDE)).astype("<f4")
        self.assert_alike(predict(path, images), self.logits(model.eval(), images))


if __name__ == "__main__":
    unittest.main()
