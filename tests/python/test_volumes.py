"""Operators on volumes, against NumPy and SciPy."""
import os

from helper import Case, numpy, opiml, unittest

try:
    import nibabel
except ImportError:
    nibabel = None
try:
    from scipy import ndimage
except ImportError:
    ndimage = None

SHARED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../shared/data")
KINDS = ("u1", "i1", "u2", "i2", "i4", "i8", "f4", "f8")


class Volumes(Case):
    """Records of one .npz file; what comes out is a list of rows, one for each epoch."""

    def setUp(self):
        super().setUp()
        self.random = numpy.random.default_rng(17)

    def rows(self, ops, arrays, epochs=1, dataset="{uri: a.npz, index: rebuild}"):
        if arrays is not None:
            numpy.savez(self.path("a.npz"), **arrays)
        path = self.write("p.yaml", f"opiml: 1\nkind: pipeline\nseed: 3\npool: 512MiB\ndataset: {dataset}\n"
                          "batch: {size: 1}\nops:\n" + "".join(f"  - {op}\n" for op in ops))
        got = []
        for batch in opiml.Pipeline(path, epochs=epochs, threads=1):
            self.assertTrue(batch.valid.all())
            got.append({name: numpy.array(batch[name])[0] for name in batch})
        self.assertEqual(len(got), epochs)
        return got

    def row(self, ops, **arrays):
        return self.rows(ops, arrays)[0]

    def noise(self, shape, kind="f4"):
        return (self.random.normal(size=shape) * 40 + 20).astype(kind)

    def same(self, got, wanted):
        self.assertEqual(got.dtype, wanted.dtype)
        numpy.testing.assert_array_equal(got, wanted)


AFFINE = numpy.array([[0, 0, 2.0, -30], [0, -1.5, 0, 20], [3.0, 0, 0, -9]])


def place(affine, at):
    """Millimetres of a voxel [z, y, x]."""
    return affine[:, :3] @ numpy.array(at[::-1], float) + affine[:, 3]


class Cutting(Volumes):
    def test_box_in_voxels(self):
        for kind in KINDS:
            image, label = self.noise((2, 5, 6, 7), kind), self.noise((5, 6, 7), "i2")
            got = self.row(["volume_crop: {fields: [image, label], affine: affine, z: [1, 4], x: [2, 7]}"],
                           image=image, label=label, affine=AFFINE)
            self.same(got["image"], image[:, 1:4, :, 2:7])
            self.same(got["label"], label[1:4, :, 2:7])
            numpy.testing.assert_allclose(place(got["affine"], (0, 0, 0)), place(AFFINE, (1, 0, 2)))

    def test_halves_in_millimetres_share_nothing(self):
        """Along the body's x runs z here, backwards along its y."""
        image = numpy.arange(20 * 30 * 10, dtype="i4").reshape(20, 30, 10)
        parts = []
        for side, depth in (("[-1000, 0]", 15), ("[0, 1000]", 5)):
            got = self.row([f"volume_crop: {{affine: affine, unit: mm, x: {side}, y: [-7, 100]}}",
                            f"volume_center_crop: {{affine: affine, size: [{depth}, 19, 10]}}"],
                           image=image, affine=AFFINE)
            parts.append(got["image"])
            corner = place(got["affine"], (0, 0, 0))
            self.assertTrue(corner[0] == (-30 if side[1] == "-" else 0))
        x = AFFINE[0, 2] * numpy.arange(20) + AFFINE[0, 3]
        y = AFFINE[1, 1] * numpy.arange(30) + AFFINE[1, 3]
        self.same(parts[0], image[x < 0][:, y >= -7])
        self.same(parts[1], image[x >= 0][:, y >= -7])

    def test_center_and_pad(self):
        for mode, numpys in (("constant", {"constant_values": 3}), ("edge", {}), ("reflect", {})):
            for shape, size in (((5, 6, 7), (8, 4, 7)), ((1, 9, 2), (3, 3, 3)), ((4, 4, 4), (7, 9, 11))):
                image = self.noise(shape, "i2")
                cut = image[tuple(slice((n - s) // 2, (n - s) // 2 + s) if n > s else slice(None)
                                  for n, s in zip(shape, size))]
                pads = [((s - n) // 2, s - n - (s - n) // 2) if s > n else (0, 0) for n, s in zip(shape, size)]
                wanted = numpy.pad(image, pads, mode=mode, **numpys)
                wanted = wanted[tuple(slice((n - s) // 2, (n - s) // 2 + s) if n > s else slice(None)
                                      for n, s in zip(shape, size))]
                if mode != "reflect" or cut.shape == shape:
                    got = self.row([f"volume_center_crop: {{size: {list(size)}, mode: {mode}, value: 3}}"], image=image)
                    self.same(got["image"], wanted)
                least = [max(n, s) for n, s in zip(shape, size)]
                pads = [((s - n) // 2, s - n - (s - n) // 2) for n, s in zip(shape, least)]
                got = self.row([f"volume_pad: {{least: {list(size)}, mode: {mode}, value: 3}}"], image=image)
                self.same(got["image"], numpy.pad(image, pads, mode=mode, **numpys))
        image = self.noise((5, 8, 9))
        got = self.row(["volume_pad: {multiple: [4, 8, 5], affine: affine}"], image=image, affine=AFFINE)
        self.same(got["image"], numpy.pad(image, ((1, 2), (0, 0), (0, 1))))
        numpy.testing.assert_allclose(place(got["affine"], (1, 0, 0)), place(AFFINE, (0, 0, 0)))

    def test_random_crops_are_where_they_say(self):
        """Every place comes, volumes alike; the affine finds it."""
        image = numpy.arange(4 * 5 * 6, dtype="f4").reshape(4, 5, 6)
        places = set()
        for row in self.rows(["volume_random_crop: {fields: [image, label], size: [3, 5, 2], affine: affine}"],
                             {"image": image, "label": image.astype("i2"), "affine": AFFINE}, 300):
            at = numpy.unravel_index(int(row["label"][0, 0, 0]), image.shape)
            places.add(tuple(at))
            self.same(row["image"], image[at[0]:at[0] + 3, at[1]:at[1] + 5, at[2]:at[2] + 2])
            self.same(row["label"], row["image"].astype("i2"))
            numpy.testing.assert_allclose(place(row["affine"], (0, 0, 0)), place(AFFINE, at))
        self.assertEqual(len(places), 2 * 1 * 5)

    def test_foreground_is_oversampled(self):
        for kind in ("u1", "i1", "u2", "i2", "i4", "i8"):
            label = numpy.zeros((30, 30, 30), kind)
            label[2, 3, 4] = 1
            label[20:25, 20:25, 20:25] = 2
            found = {0: 0, 1: 0, 2: 0, 3: 0}
            for row in self.rows(["volume_random_crop: {fields: [label], size: 5, oversample: 0.5}"],
                                 {"label": label}, 400):
                found[int(row["label"].max() if 1 not in row["label"] else 1)] += 1
            self.assertTrue(60 < found[1] < 140 and 60 < found[2] < 150 and found[0] > 150, found)
        rows = self.rows(["volume_random_crop: {fields: [label], size: 5, oversample: 1, classes: [1]}"],
                         {"label": label}, 20)
        for row in rows:
            self.assertEqual(numpy.argwhere(row["label"] == 1).tolist(), [[2, 2, 2]])
        label[:] = 0
        self.assertEqual(len(self.rows(["volume_random_crop: {fields: [label], size: 40, oversample: 1, value: 7}"],
                                       {"label": label}, 3)), 3)


class Turning(Volumes):
    def test_flips(self):
        image, label = self.noise((2, 3, 4, 5)), self.noise((3, 4, 5), "u1")
        seen = set()
        for row in self.rows(["volume_random_flip: {fields: [image, label], axes: [z, x], affine: affine}"],
                             {"image": image, "label": label, "affine": AFFINE}, 60):
            axes = [axes for axes in ((), (0,), (2,), (0, 2))
                    if numpy.array_equal(row["label"], numpy.flip(label, axes))]
            self.assertEqual(len(axes), 1)
            seen.add(axes[0])
            self.same(row["image"], numpy.flip(image, [axis + 1 for axis in axes[0]]))
            corner = [n - 1 if d in axes[0] else 0 for d, n in enumerate(label.shape)]
            numpy.testing.assert_allclose(place(row["affine"], (0, 0, 0)), place(AFFINE, corner))
        self.assertEqual(len(seen), 4)

    def test_right_angles(self):
        planes = {0: (1, 2), 1: (0, 2), 2: (0, 1)}
        for kind in ("u1", "i2", "f4", "f8"):
            image = self.noise((37, 37, 37), kind)
            seen = set()
            for row in self.rows(["volume_random_rotate90: {axes: [x, y, z], p: 0.9, affine: affine}"],
                                 {"image": image, "affine": AFFINE}, 60):
                turns = [(axis, k) for axis in planes for k in (1, 2, 3)
                         if numpy.array_equal(row["image"], numpy.rot90(image, k, planes[axis]))]
                if numpy.array_equal(row["image"], image):
                    turns.append((0, 0))
                self.assertEqual(len(turns), 1)
                seen.add(turns[0])
                # Where a voxel came from, its millimetres say too.
                places = numpy.arange(37 ** 3).reshape(image.shape)
                axis, k = turns[0]
                old = numpy.unravel_index(numpy.rot90(places, k, planes[axis])[3, 5, 9], image.shape)
                numpy.testing.assert_allclose(place(row["affine"], (3, 5, 9)), place(AFFINE, old))
            self.assertEqual(len(seen), 10)


class Intensity(Volumes):
    def test_clip(self):
        for kind in KINDS:
            image = self.noise((3, 4, 500), kind)
            got = self.row(["clip: {least: -5, most: 55.5}"], image=image)["image"]
            self.same(got, image.astype("f4").clip(-5, 55.5))
        image = numpy.array([numpy.nan, -numpy.inf, numpy.inf], "f4")
        self.same(self.row(["clip: {least: -1, most: 1}"], image=image)["image"], numpy.array([numpy.nan, -1, 1], "f4"))

    def test_scale_and_shift(self):
        image = self.noise((3, 50, 50), "i2")
        changed = 0
        for row in self.rows(["random_intensity: {p: 0.3, scale: [0.5, 2], shift: [-3, 3]}"], {"image": image}, 100):
            slope, shift = numpy.polyfit(image.ravel().astype(float), row["image"].ravel(), 1)
            changed += slope != 1
            self.assertTrue(0.49 < slope < 2.01 and -3.01 < shift < 3.01)
            numpy.testing.assert_allclose(row["image"], image * slope + shift, atol=1e-3)
            changed -= abs(slope - 1) < 1e-6 and abs(shift) < 1e-4
        self.assertTrue(15 < changed < 45, changed)

    def test_noise(self):
        image = numpy.zeros((60, 60, 60), "u1")
        rows = self.rows(["gaussian_noise: {p: 1, std: 2, mean: 0.5}"], {"image": image}, 2)
        noise = (rows[0]["image"].ravel().astype(float) - 0.5) / 2
        self.assertFalse(numpy.array_equal(rows[0]["image"], rows[1]["image"]))
        self.assertLess(abs(noise.mean()), 0.01)
        self.assertLess(abs(noise.std() - 1), 0.005)
        self.assertLess(abs((noise ** 3).mean()), 0.03)
        self.assertLess(abs((noise ** 4).mean() - 3), 0.08)
        self.assertLess(abs(numpy.corrcoef(noise[:-1], noise[1:])[0, 1]), 0.01)
        stds = [row["image"].std() for row in
                self.rows(["gaussian_noise: {p: 0.5, std: [0, 4]}"], {"image": image[:20]}, 60)]
        self.assertTrue(15 < sum(std == 0 for std in stds) < 45)
        self.assertTrue(0 < min(std for std in stds if std) < 1 and 3 < max(stds) < 4.1)

    def test_normalize(self):
        for kind in KINDS:
            image = self.noise((2, 9, 20, 30), kind)
            wide = image.astype("f4")
            got = self.row(["volume_normalize: {mean: [101, 3], std: 76.9}"], image=image)["image"]
            mean = numpy.array([101, 3], "f4").reshape(2, 1, 1, 1)
            self.same(got, (wide - mean) / numpy.float32(76.9))
            for nonzero in (False, True):
                got = self.row([f"volume_normalize: {{by: volume, nonzero: {str(nonzero).lower()}}}"], image=image)
                for channel in range(2):
                    counts = wide[channel] != 0 if nonzero else numpy.ones(wide[channel].shape, bool)
                    some = wide[channel][counts].astype("f8")
                    wanted = numpy.where(counts, (wide[channel] - some.mean()) / some.std(), 0)
                    numpy.testing.assert_allclose(got["image"][channel], wanted, atol=1e-5)
                got = self.row([f"volume_normalize: {{by: percentiles, percentiles: [2, 90], nonzero: "
                                f"{str(nonzero).lower()}}}"], image=image)
                for channel in range(2):
                    counts = wide[channel] != 0 if nonzero else numpy.ones(wide[channel].shape, bool)
                    low, high = numpy.percentile(wide[channel][counts].astype("f8"), [2, 90])
                    wanted = numpy.where(counts, ((wide[channel] - low) / (high - low)).clip(0, 1), 0)
                    numpy.testing.assert_allclose(got["image"][channel], wanted, atol=1e-5)

    def test_what_is_not_finite_does_not_count(self):
        image = self.noise((4, 5, 6))
        image[0, 0, :3] = numpy.nan, numpy.inf, -numpy.inf
        finite = numpy.isfinite(image)
        got = self.row(["volume_normalize: {by: volume}"], image=image)["image"]
        some = image[finite].astype("f8")
        numpy.testing.assert_allclose(got[finite], (some - some.mean()) / some.std(), atol=1e-5)
        self.assertTrue(numpy.isnan(got[0, 0, 0]) and numpy.isposinf(got[0, 0, 1]) and numpy.isneginf(got[0, 0, 2]))


class Labels(Volumes):
    def test_largest_map(self):
        for kind in ("u1", "i2", "f4"):
            maps = self.noise((3, 6, 7, 8), "u1").astype(kind)
            maps[:, 0, 0, :2] = [[0, 255], [0, 255], [0, 255]]
            got = self.row(["volume_label: {maps: [a, b, c], threshold: 0.2}", "select: {fields: [label]}"],
                           a=maps[0], b=maps[1], c=maps[2])["label"]
            share = maps.astype("f4") / 255
            wanted = numpy.where(share.max(0) >= 0.2, share.argmax(0) + 1, 0).astype("u1")
            self.same(got, wanted)

    def test_ranges(self):
        a, b = self.noise((4, 4, 4)), self.noise((4, 4, 4)) * 3
        b[0, 0, 0] = numpy.nan
        got = self.row(["volume_label: {maps: [a, b], threshold: 0.5, to: class}"], a=a, b=b)["class"]
        share = numpy.stack([(x - numpy.nanmin(x)) / (numpy.nanmax(x) - numpy.nanmin(x)) for x in (a, b)])
        share[numpy.isnan(share)] = -1
        self.same(got, numpy.where(share.max(0) >= 0.5, share.argmax(0) + 1, 0).astype("u1"))
        flat = self.row(["volume_label: {maps: [a], threshold: 0}"], a=numpy.full((2, 2, 2), 5, "u1"))["label"]
        self.assertEqual(flat.max(), 0)

    def test_stack(self):
        a, b = self.noise((3, 4, 5)), self.noise((2, 3, 4, 5))
        got = self.row(["volume_stack: {fields: [b, a], to: image}"], a=a, b=b)
        self.same(got["image"], numpy.concatenate([b, a[None]]))
        self.assertEqual(list(got), ["image"])


@unittest.skipUnless(ndimage, "python3-scipy is not installed")
class Resampling(Volumes):
    SIZES = [((5, 6, 7), (9, 4, 7)), ((1, 8, 3), (4, 1, 5)), ((12, 3, 9), (5, 5, 5)), ((2, 2, 2), (1, 1, 1))]

    def points(self, shape, size, align):
        """Where each axis of the result lies in the volume."""
        for n, m in zip(shape, size):
            i = numpy.arange(m, dtype="f8")
            at = (i + 0.5) * n / m - 0.5 if align == "edges" else i * (n - 1) / (m - 1) if m > 1 else i
            yield at.clip(0, n - 1)

    def test_trilinear(self):
        for align in ("edges", "corners"):
            for shape, size in self.SIZES:
                for kind in ("u1", "i1", "u2", "i2", "f4"):
                    image = self.noise(shape, kind)
                    got = self.row([f"volume_resample: {{size: {list(size)}, align: {align}, affine: affine}}"],
                                   image=image, affine=AFFINE)
                    grid = numpy.meshgrid(*self.points(shape, size, align), indexing="ij")
                    wanted = ndimage.map_coordinates(image.astype("f8"), grid, order=1)
                    self.assertEqual(got["image"].dtype, image.dtype)
                    numpy.testing.assert_allclose(got["image"], wanted, rtol=0, atol=1e-4 if kind == "f4" else 0.5001)
                    if align == "corners" and min(size) > 1:
                        zoomed = ndimage.zoom(image.astype("f8"), [m / n for n, m in zip(shape, size)], order=1)
                        numpy.testing.assert_allclose(wanted, zoomed, rtol=1e-9)
                    if min(size) > 1:
                        inner = [i // 2 for i in size]
                        at = [(i + 0.5) * n / m - 0.5 if align == "edges" else i * (n - 1) / (m - 1)
                              for i, n, m in zip(inner, shape, size)]
                        numpy.testing.assert_allclose(place(got["affine"], inner), place(AFFINE, at))

    def test_nearest(self):
        """corners: PyTorch's `nearest`; edges: its `nearest-exact`."""
        for align in ("edges", "corners"):
            for shape, size in self.SIZES:
                for kind in KINDS:
                    label = self.noise(shape, kind)
                    got = self.row([f"volume_resample: {{fields: [label], nearest: [label], size: {list(size)}, "
                                    f"align: {align}}}"], label=label)["label"]
                    at = [[((2 * i + 1) * n // (2 * m)) if align == "edges" else i * n // m for i in range(m)]
                          for n, m in zip(shape, size)]
                    self.same(got, label[numpy.ix_(*at)])

    def test_spacing(self):
        image = self.noise((10, 11, 12), "i2")
        affine = numpy.array([[-0.8, 0, 0, 5], [0, 1.1, 0, 6], [0, 0, 3.0, 7]])
        got = self.row(["volume_resample: {spacing: [1.6, 1.2, 1.2], affine: affine}",
                        "volume_center_crop: {size: [19, 10, 8], affine: affine}"], image=image, affine=affine)
        at = [numpy.arange(m) * n / m + (n / m - 1) / 2 for n, m in zip(image.shape, (19, 10, 8))]
        grid = numpy.meshgrid(*at, indexing="ij")
        wanted = ndimage.map_coordinates(image.astype("f8"), grid, order=1, mode="nearest")
        numpy.testing.assert_allclose(got["image"], wanted, rtol=0, atol=0.5001)
        self.assertEqual(got["image"].shape, (19, 10, 8))
        spacing = numpy.sqrt((got["affine"][:, :3] ** 2).sum(0))[::-1]
        numpy.testing.assert_allclose(spacing, [3 * 10 / 19, 1.1 * 11 / 10, 0.8 * 12 / 8])
        got = self.row(["volume_resample: {spacing: [1.6, 1.2, 1.2], from: [3, 1.1, 0.8], align: corners}"], image=image)
        self.assertEqual(got["image"].shape, (18, 10, 8))

    def test_kits19_preprocessing(self):
        """MLPerf's unet3d preprocess_dataset.py (mlcommons/training), its steps in NumPy and SciPy. There axes
        are nibabel's, [x, y, z], here [z, y, x], so that sizes and spacings are given in reverse."""
        volume = (self.random.normal(size=(21, 40, 33)) * 150 + 80).astype("i2")
        volume = ndimage.uniform_filter(volume.astype("f4"), 3).astype("i2")
        label = (ndimage.uniform_filter(self.random.normal(size=volume.shape), 5) > 0.05).astype("u1")
        spacing = numpy.array([3.0, 0.9, 0.8])
        got = self.row([
            "cast: {field: image, to: f32}",
            "volume_resample: {fields: [image, label], nearest: [label], from: [0.8, 0.9, 3], "
            "spacing: [1.2, 1.2, 1.6], align: corners}",
            "clip: {least: -79, most: 304}",
            "volume_normalize: {mean: 101, std: 76.9}",
            "volume_pad: {fields: [image, label], least: [48, 48, 48], mode: edge}",
            "volume_stack: {}"], image=volume.T, label=label.T)
        shape = (spacing / numpy.array([1.6, 1.2, 1.2]) * volume.shape).astype(int)
        image = ndimage.zoom(volume.astype("f4"), shape / volume.shape, order=1)
        self.assertEqual(image.shape, tuple(shape))
        image = (numpy.clip(image, -79, 304) - 101) / 76.9
        label = label[numpy.ix_(*[numpy.arange(m) * n // m for n, m in zip(label.shape, shape)])]
        bounds = [max(0, 48 - n) for n in shape]
        pads = [(bound // 2, bound - bound // 2) for bound in bounds]
        self.assertEqual(got["image"].shape, (1, 48, 48, 48))
        numpy.testing.assert_allclose(got["image"][0].T, numpy.pad(image, pads, mode="edge"), atol=1e-5)
        self.same(got["label"].T, numpy.pad(label, pads, mode="edge"))


@unittest.skipUnless(nibabel, "python3-nibabel is not installed")
@unittest.skipUnless(os.path.exists(f"{SHARED}/mni152-t1.nii.gz"), "no volumes beside the clone")
class Brain(Volumes):
    def test_halves_with_tissues(self):
        parts = ", ".join(f'"{name}:mni152-{name}.nii.gz"' for name in ("t1", "gm", "wm"))
        dataset = f"{{uri: {SHARED}, format: nifti, parts: [{parts}], affine: affine}}"
        t1, gm, wm = (nibabel.load(f"{SHARED}/mni152-{name}.nii.gz") for name in ("t1", "gm", "wm"))
        gm, wm = gm.get_fdata().T, wm.get_fdata().T
        x = t1.affine[0, 0] * numpy.arange(t1.shape[0]) + t1.affine[0, 3]
        label = numpy.where(numpy.maximum(gm, wm) >= 127.5, numpy.where(gm >= wm, 1, 2), 0)
        for side, half in (("[-999, 0]", x < 0), ("[0, 999]", x >= 0)):
            got = self.rows(["volume_label: {maps: [gm, wm]}", "select: {fields: [t1, label, affine]}",
                             f"volume_crop: {{fields: [t1, label], affine: affine, unit: mm, x: {side}}}",
                             "volume_center_crop: {fields: [t1, label], affine: affine, size: [189, 233, 98]}"],
                            None, 1, dataset)[0]
            wanted = label[:, :, half]
            cut = 98 - wanted.shape[2]
            self.assertIn(cut, (0, -1))
            self.same(got["label"], wanted[:, :, :98].astype("u1"))
            numpy.testing.assert_array_equal(got["t1"], numpy.asarray(t1.dataobj).T[:, :, half][:, :, :98])


if __name__ == "__main__":
    unittest.main()
