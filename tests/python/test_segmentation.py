"""Training, evaluating and predicting on volumes; nibabel and Pillow look at what is written."""
import json
import os

import nibabel

from helper import Case, Image, needs_pillow, numpy, unittest

PIPELINE = """
opiml: 1
kind: pipeline
seed: 7
dataset: {uri: data/%s, format: nifti, parts: ["image:images/*.nii", "label:labels/*.nii"]}
ops:
  - volume_normalize: {by: volume}
%s  - volume_stack: {fields: [image], to: image}
batch: {size: 2}
"""
CROP = "  - volume_random_crop: {fields: [image, label], size: [16, 16, 16], oversample: 0.5}\n"
PREDICT = """
opiml: 1
kind: pipeline
dataset: {uri: data/test/images, format: nifti, affine: affine}
ops:
  - volume_normalize: {by: volume}
  - volume_stack: {fields: [image], to: image}
batch: {size: 1}
"""
TRAIN = """
opiml: 1
kind: train
threads: 1
kernels: auto
data: {train: train.yaml, eval: eval.yaml}
model: {name: unet3d, levels: 2, width: 8}
class_names: [background, solid, hollow]
loss: {name: dice_cross_entropy}
optimizer: {name: adamw, lr: 0.005}
schedule: {epochs: 2}
out: run
"""


class Segmentation(Case):
    def setUp(self):
        super().setUp()
        self.opiml("data", "make", "volumes", "--out", "data", "--count", "6", "--test", "3",
                   "--size", "24", "--seed", "3")
        self.write("train.yaml", PIPELINE % ("train", CROP))
        self.write("eval.yaml", PIPELINE % ("test", ""))
        self.write("predict.yaml", PREDICT)
        self.write("t.yaml", TRAIN)

    def train(self, *options):
        return json.loads(self.opiml("train", "t.yaml", "--json", *options).stdout)

    def test_a_run(self):
        result = self.train()
        self.assertEqual([epoch["epoch"] for epoch in result["epochs"]], [1, 2])
        self.assertLess(result["loss"], result["epochs"][0]["loss"])
        for key in "dice", "eval_dice":
            self.assertTrue(0 <= result[key] <= 1, result)
        again = json.loads(self.opiml("eval", "run", "--json").stdout)
        self.assertEqual(again["samples"], 3)
        self.assertAlmostEqual(again["dice"], result["eval_dice"], delta=1e-3)
        self.assertNotIn("top5", again)

    def tensors(self, folder):
        """The bytes of a checkpoint behind its header."""
        with open(self.path(folder, "checkpoint.safetensors"), "rb") as file:
            data = file.read()
        return data[8 + int.from_bytes(data[:8], "little"):]

    def test_resuming_is_exact(self):
        self.write("t.yaml", TRAIN.replace("{epochs: 2}", "{name: constant, epochs: 2}"))
        whole = self.train("--out", "whole")
        self.train("--epochs", "1")
        parts = self.train("--resume")
        self.assertEqual((parts["step"], parts["dice"]), (whole["step"], whole["dice"]))
        self.assertEqual(self.tensors("run"), self.tensors("whole"))

    @needs_pillow
    def test_a_prediction_is_a_mask_and_a_picture(self):
        result = self.train()
        paths = [os.path.join("data", "test", "images", f"{i:06}.nii") for i in range(3)]
        listed = json.loads(self.opiml("predict", "run", *paths, "--data", "predict.yaml", "--out",
                                       "masks", "--json").stdout)
        dice = []
        for path, entry in zip(paths, listed):
            source = nibabel.load(self.path(path))
            mask = nibabel.load(self.path(entry["mask"]))
            classes = numpy.asarray(mask.dataobj)
            self.assertEqual((classes.shape, classes.dtype), (source.shape, numpy.uint8))
            numpy.testing.assert_allclose(mask.affine, source.affine)
            counts = numpy.bincount(classes.ravel(), minlength=3)
            self.assertEqual([one["voxels"] for one in entry["classes"]], counts.tolist())
            self.assertEqual([one["class"] for one in entry["classes"]],
                             ["background", "solid", "hollow"])
            self.assertAlmostEqual(entry["classes"][1]["ml"], counts[1] / 1000)
            label = numpy.asarray(nibabel.load(self.path(path.replace("images", "labels"))).dataobj)
            for k in 1, 2:
                both, either = ((label == k) & (classes == k)).sum(), counts[k] + (label == k).sum()
                dice.append(2 * both / either if either else 1)
            with Image.open(self.path(entry["overlay"])) as picture:
                self.assertEqual(picture.mode, "RGB")
                self.assertGreater(picture.width, 3 * picture.height * 0.9)
        self.assertAlmostEqual(numpy.mean(dice), result["eval_dice"], delta=2e-3)

    def test_predicting_needs_single_files(self):
        self.train("--epochs", "1")
        process = self.run_opiml("predict", "run", "data/test/images/000000.nii")
        self.assertNotEqual(process.returncode, 0)
        self.assertIn("takes the place of the dataset's uri, and here is a dataset of `parts`", process.stderr)
        self.assertIn("which holds `dataset: {uri: any.nii, format: nifti, affine: affine}`", process.stderr)
        self.assertIn("with --data, such as: opiml predict run data/test/images/000000.nii --data ",
                      process.stderr)
        process = self.run_opiml("predict", "run", "t.yaml", "--data", "predict.yaml")
        self.assertNotEqual(process.returncode, 0)
        self.assertIn("t.yaml", process.stderr)
        self.assertNotIn("--data", process.stderr)
        process = self.run_opiml("predict", "run", "data/test/images", "--data", "predict.yaml")
        self.assertNotEqual(process.returncode, 0)
        self.assertIn("a folder, where a file is wanted", process.stderr)

    def test_no_prediction_replaces_another(self):
        self.train("--epochs", "1")
        process = self.run_opiml("predict", "run", "data/test/images/000000.nii", "data/train/images/000000.nii",
                                 "--data", "predict.yaml", "--out", "masks")
        self.assertNotEqual(process.returncode, 0)
        self.assertIn("two volumes would both become masks/000000.mask.nii", process.stderr)
        self.assertFalse(os.path.exists(self.path("masks")))

    def test_volumes_with_values_that_are_none_are_bad_records(self):
        for i in range(6):
            path = self.path("data", "train", "images", f"{i:06}.nii")
            source = nibabel.load(path)
            voxels = numpy.asarray(source.dataobj).astype("f4")
            if i == 2:
                voxels[::3] = numpy.nan
            nibabel.Nifti1Image(voxels, source.affine).to_filename(path)
        process = self.run_opiml("train", "t.yaml")
        self.assertEqual(process.returncode, 6, process.stderr)
        self.assertIn("000002.nii", process.stderr)

    def test_labels_outside_the_classes_are_bad_records(self):
        path = self.path("data", "test", "labels", "000001.nii")
        label = nibabel.load(path)
        voxels = numpy.asarray(label.dataobj).copy()
        voxels[0, 0, 0] = 3
        nibabel.Nifti1Image(voxels, label.affine).to_filename(path)
        process = self.run_opiml("train", "t.yaml")
        self.assertEqual(process.returncode, 6, process.stderr)
        self.assertIn("label 3; there are 3 classes", process.stderr)

    def test_models_and_labels_go_together(self):
        for old, new, what in (
                ("unet3d, levels: 2", "resnet", r"t\.yaml:7:15: .*volumes"),
                ("dice_cross_entropy", "cross_entropy",
                 r"t\.yaml:9:14: .*loss.name has to be dice_cross_entropy"),
                ("dice_cross_entropy", "binary_cross_entropy", r"t\.yaml:9:14: .*mlp"),
                ("loss: {name: dice_cross_entropy}\n", "", r"t\.yaml:2:1: .*loss.name has to be"),
                ("levels: 2", "levels: 5", r"t\.yaml:7:15: .*multiples of 32")):
            self.write("t.yaml", TRAIN.replace(old, new))
            process = self.run_opiml("train", "t.yaml")
            self.assertEqual(process.returncode, 2, process.stderr)
            self.assertRegex(process.stderr, what)


if __name__ == "__main__":
    unittest.main()
