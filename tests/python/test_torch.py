"""opiml.torch: tensors, transforms, resuming, ranks; against a DataLoader of PyTorch's own."""
import os
import re
import warnings

from helper import ROWS, Case, numpy, opiml, picture, png, unittest

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch

    from opiml.torch import DataLoader, Dataset
except ImportError:
    torch = None


@unittest.skipUnless(torch, "PyTorch (python3-torch) is not installed")
class Torch(Case):
    def labels(self, loader):
        return [label for _, labels in loader for label in labels.tolist()]

    def test_lists_of_tensors(self):
        path, records = self.rows(100)
        loader = DataLoader(path, fields=["x", "label"])
        self.assertEqual((len(loader), loader.batch_size), (7, 16))
        seen = []
        for x, label in loader:
            self.assertEqual((x.dtype, label.dtype), (torch.float32, torch.int64))
            numpy.testing.assert_array_equal(x.numpy(), records["x"][label.numpy()])
            seen += label.tolist()
        self.assertEqual(sorted(seen), list(range(100)))
        self.assertNotEqual(self.labels(loader), seen)  # the next epoch has another order

    def test_the_example_of_the_manual_learns(self):
        with open(os.path.join(os.path.dirname(__file__), "../../docs/python.md"), encoding="utf-8") as file:
            example = file.read().split("## Ten lines with PyTorch")[1]
        self.opiml(*re.search("^    opiml (data make .*)$", example, re.M)[1].split())
        self.write("train.yaml", re.search("```yaml\n(.*?)```", example, re.S)[1])
        code = re.search("```python\n(.*?)```", example, re.S)[1]
        process = self.python("import torch\ntorch.manual_seed(0)\n" + code, cwd=self.folder, timeout=200)
        losses = [float(loss) for loss in re.findall("loss ([0-9.]*)", process.stdout)]
        self.assertEqual(len(losses), 6, process.stderr)
        self.assertLess(min(losses), 1.05)  # 1.39 is chance

    def test_dicts_without_a_copy(self):
        path, _ = self.rows(32)
        for tensors in DataLoader(path):
            self.assertEqual(list(tensors), ["x", "label"])
            array = tensors["x"].numpy()
            self.assertFalse(array.flags.owndata)
            tensors["x"] += 1  # its memory is ours

    def test_types_without_a_counterpart(self):
        values = numpy.arange(6, dtype="u2")
        bits = numpy.array([1.5, -2], "f4").view("u4") >> 16
        self.write("rows.bin", values.tobytes() + bits.astype("u2").tobytes())
        path = self.write("p.yaml", ROWS.replace('"x:f32:3", "label:i32"', '"a:u16:6", "b:bf16:2"').replace(
            "size: 16", "size: 1"))
        tensors = next(iter(DataLoader(path)))
        self.assertEqual(tensors["a"].tolist(), [values.tolist()])
        self.assertEqual((tensors["b"].dtype, tensors["b"].tolist()), (torch.bfloat16, [[1.5, -2]]))

    def test_transforms_of_rows(self):
        for number in range(6):
            self.write(f"data/a/{number}.png", png(picture(8, 8, number)))
        path = self.write("p.yaml", "opiml: 1\nkind: pipeline\ndataset: {uri: data}\n"
                          "ops: [{decode: {}}, {center_crop: {size: [8, 8]}}]\nbatch: {size: 4}\n")

        def transform(image):
            self.assertEqual((image.shape, image.dtype), ((8, 8, 3), numpy.uint8))
            return torch.from_numpy(image).permute(2, 0, 1).float() / 255

        images = torch.cat([image for image, _ in DataLoader(path, ["image", "label"], transform)])
        wanted = numpy.stack([picture(8, 8, number) for number in range(6)])
        numpy.testing.assert_allclose(images.numpy(), wanted.transpose(0, 3, 1, 2) / 255, atol=1e-6)

    def test_a_transform_that_fails_loses_no_batch(self):
        path, _ = self.rows(64)
        calls = []

        def transform(row):
            calls.append(row)
            if len(calls) == 20:
                raise KeyError("mine")
            return torch.from_numpy(row)

        loader, seen = DataLoader(path, ["x", "label"], transform), []
        with self.assertRaises(KeyError):
            for _, label in loader:
                seen += label.tolist()
        self.assertEqual(len(seen), 16)
        self.assertEqual(sorted(seen + self.labels(loader)), list(range(64)))

    def test_going_on_in_the_middle_of_an_epoch(self):
        path, _ = self.rows(100)
        whole = self.labels(DataLoader(path, ["x", "label"]))
        loader, seen = DataLoader(path, ["x", "label"]), []
        for _, label in loader:
            seen += label.tolist()
            if len(seen) == 48:
                break
        fresh = DataLoader(path, ["x", "label"])
        fresh.load_state_dict(loader.state_dict())
        self.assertEqual(seen + self.labels(fresh), whole)

    def test_holes_are_left_out(self):
        path, _ = self.rows(100, ROWS + "ops: [{filter: {where: 'label < 30'}}]\n")
        self.assertEqual(sorted(self.labels(DataLoader(path, ["x", "label"]))), list(range(30)))

    def test_ranks(self):
        path, _ = self.rows(96)
        parts = [self.labels(DataLoader(path, ["x", "label"], rank=rank, world=2)) for rank in range(2)]
        self.assertEqual([len(part) for part in parts], [48, 48])
        self.assertEqual(sorted(parts[0] + parts[1]), list(range(96)))
        os.environ.update(RANK="1", WORLD_SIZE="2")
        self.addCleanup(lambda: [os.environ.pop(name) for name in ("RANK", "WORLD_SIZE")])
        self.assertEqual(self.labels(DataLoader(path, ["x", "label"])), parts[1])
        with self.assertRaisesRegex(ValueError, "go together"):
            DataLoader(path, rank=1)

    def test_within_a_dataloader_of_pytorchs(self):
        path, _ = self.rows(40)
        dataset = Dataset(path, ["x", "label"])
        seen = self.labels(torch.utils.data.DataLoader(dataset, batch_size=None))
        self.assertEqual(sorted(seen), list(range(40)))
        with self.assertRaisesRegex(Exception, "num_workers=0"):
            self.labels(torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=2))

    def test_fields_that_are_not_there(self):
        path, _ = self.rows(16)
        with self.assertRaisesRegex(opiml.InvalidError, 'no field "image"; there are x, label'):
            DataLoader(path, ["image"])
        with self.assertRaisesRegex(opiml.InvalidError, 'no field "image"; there are x, label'):
            DataLoader(path, "image")

    def test_one_field_alone(self):
        path, _ = self.rows(16)
        for fields in "label", ["label"]:
            (labels,), = DataLoader(path, fields)
            self.assertEqual(sorted(labels.tolist()), list(range(16)))

    def test_arguments_of_pytorchs_say_where_they_are_set(self):
        path, _ = self.rows(16)
        for name, value, where in (("batch_size", 32, "batch: {size: 32}"), ("shuffle", True, "mode: global"),
                                   ("num_workers", 4, "threads=4"), ("drop_last", True, "drop_last: true")):
            with self.assertRaisesRegex(TypeError, f"^DataLoader takes no {name}: .*{where}"):
                DataLoader(path, **{name: value})
        with self.assertRaisesRegex(TypeError, "^Dataset takes no collate_fn: "):
            Dataset(path, collate_fn=list)
        with self.assertRaisesRegex(TypeError, "unexpected keyword argument 'color'"):
            DataLoader(path, color=1)

    def test_what_it_shows_of_itself(self):
        path, _ = self.rows(16)
        self.assertEqual(repr(DataLoader(path, "label")),
                         f"<opiml.torch.DataLoader of label: <opiml.Pipeline {path}: 16 records, "
                         "1 batch of 16 an epoch>>")
        self.assertIn("<opiml.torch.Dataset of x, label: ", repr(Dataset(path)))

    def test_transforms_can_be_called(self):
        path, _ = self.rows(16)
        with self.assertRaisesRegex(TypeError, "transform: a callable is wanted, not 'flip'"):
            DataLoader(path, transform="flip")


if __name__ == "__main__":
    unittest.main()
