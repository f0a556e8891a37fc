"""Files written by their own projects' libraries, read here: what comes out is what went in."""
import json
import os
import struct

from helper import Case, numpy, opiml, unittest

try:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
except ImportError:
    descriptor_pb2 = None
try:
    import crcmod.predefined
except ImportError:
    crcmod = None

try:
    import h5py
except ImportError:
    h5py = None
try:
    import nibabel
except ImportError:
    nibabel = None

SHARED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../shared/data")
HEAD = "opiml: 1\nkind: pipeline\npool: 256MiB\n"


class Reading(Case):
    def read(self, dataset, more="batch: {size: 4}\n", **options):
        """All rows of each field, joined over the batches."""
        path = self.write("p.yaml", f"{HEAD}dataset: {dataset}\n{more}")
        rows = {}
        for batch in opiml.Pipeline(path, epochs=1, **options):
            self.assertTrue(batch.valid.all())
            for name in batch:
                rows.setdefault(name, []).append(numpy.array(batch[name]))
        return {name: numpy.concatenate(parts) for name, parts in rows.items()}

    def same(self, got, wanted):
        self.assertEqual(got.dtype, wanted.dtype)
        numpy.testing.assert_array_equal(got, wanted)


class Npy(Reading):
    def test_files_of_every_type(self):
        random = numpy.random.default_rng(1)
        for kind in ("u1", "i1", "<u2", ">u2", "<i2", ">i4", "<i4", "<i8", ">i8", "<f2", ">f2", "<f4", ">f4",
                     "<f8", ">f8", "?"):
            arrays = [(random.normal(size=(3, 4, 2)) * 50).astype(kind) for _ in range(5)]
            for number, array in enumerate(arrays):
                numpy.save(self.path(f"{number}.npy"), numpy.asfortranarray(array) if number % 2 else array)
            got = self.read("{uri: ., format: npy, index: rebuild}")["data"]
            plain = numpy.stack(arrays)
            self.same(got, plain.view("u1") if kind == "?" else plain.astype(plain.dtype.newbyteorder("=")))

    def test_rows_of_a_file(self):
        x = numpy.random.default_rng(2).normal(size=(37, 5)).astype("f4")
        y = numpy.arange(37, dtype=">i4")
        numpy.save(self.path("x.npy"), x)
        numpy.save(self.path("y.npy"), y)
        for direct in ("false", "true"):
            got = self.read('{uri: ., format: npy, records: row, parts: ["x:x.npy", "y:y.npy"], '
                            f'direct: {direct}}}')
            self.same(got["x"], x)
            self.same(got["y"], y.astype("i4"))

    def test_files_that_belong_together(self):
        random = numpy.random.default_rng(3)
        pairs = [(random.integers(0, 255, (6, 6), "u1"), numpy.int64(n)) for n in range(9)]
        for number, (x, y) in enumerate(pairs):
            numpy.save(self.path(f"case_{number}_x.npy"), x)
            numpy.save(self.path(f"case_{number}_y.npy"), y)
        got = self.read('{uri: ., format: npy, parts: ["x:*_x.npy", "y:*_y.npy"]}')
        self.same(got["x"], numpy.stack([x for x, _ in pairs]))
        self.same(got["y"], numpy.array([y for _, y in pairs]))

    def test_records_of_several_files_shuffled_and_resumed(self):
        for number in range(40):
            numpy.save(self.path(f"{number:02}_x.npy"), numpy.full((300, 7), number, "f4"))
            numpy.save(self.path(f"{number:02}_y.npy"), numpy.int32(number))
        path = self.write("p.yaml", f'{HEAD}dataset: {{uri: ., format: npy, parts: ["x:*_x.npy", "y:*_y.npy"]}}\n'
                          "shuffle: {mode: global}\nbatch: {size: 3}\n")
        digests = set()
        for threads in (1, 2, 8):
            pipe = opiml.Pipeline(path, epochs=2, digest=True, threads=threads)
            for batch in pipe:
                self.assertTrue((batch["x"] == batch["y"][:, None, None]).all())
            digests.add(pipe.stats()["digest"])
        self.assertEqual(len(digests), 1)


class Tokens(Reading):
    def test_as_nanogpt_writes_them(self):
        ids = numpy.random.default_rng(10).integers(0, 50257, 1000).astype(numpy.uint16)
        ids.tofile(self.path("train.bin"))
        got = self.read("{uri: train.bin, format: tokens, length: 65, stride: 64, vocabulary: 50257}")["tokens"]
        self.same(got, numpy.stack([ids[i:i + 65] for i in range(0, 1000 - 64, 64)]))


class Jsonl(Reading):
    def test_as_json_writes_it(self):
        random = numpy.random.default_rng(12)
        rows = [{"text": "h\u00f6he \U0001f600 \"x\"\n" * (n % 3), "label": n, "x": random.normal(size=(2, 3)).tolist(),
                 "other": {"a": [n]}} for n in range(50)]
        self.write("a.jsonl", "".join(json.dumps(row, ensure_ascii=n % 2 == 0) + "\n" for n, row in enumerate(rows)))
        got = self.read("{uri: a.jsonl}", "ops: [{select: {fields: [label, x]}}]\nbatch: {size: 4}\n")
        self.same(got["label"], numpy.arange(50, dtype="i4"))
        self.same(got["x"], numpy.array([row["x"] for row in rows]))


class Npz(Reading):
    def test_stored_and_deflated(self):
        random = numpy.random.default_rng(4)
        for save in (numpy.savez, numpy.savez_compressed):
            arrays = [{"x": random.normal(size=(8, 8, 1)).astype("f4"),
                       "label": numpy.int32(number),
                       "odd name": random.integers(0, 9, 3, "u1")} for number in range(7)]
            for number, array in enumerate(arrays):
                save(self.path(f"{number}.npz"), **array)
            got = self.read("{uri: ., format: npz, crc: true, index: rebuild}")
            self.assertEqual(list(got), ["label", "odd name", "x"])
            for name in got:
                self.same(got[name], numpy.stack([array[name] for array in arrays]))

    def test_rows_of_an_archive(self):
        images = numpy.random.default_rng(5).integers(0, 255, (50, 28, 28), "u1")
        labels = numpy.arange(50, dtype="i8")
        numpy.savez(self.path("mnist.npz"), x_train=images, y_train=labels, x_test=images[:3])
        got = self.read("{uri: mnist.npz, records: row, fields: [x_train, y_train]}")
        self.same(got["x_train"], images)
        self.same(got["y_train"], labels)

    def test_damage_is_a_bad_record(self):
        for number in range(3):
            numpy.savez_compressed(self.path(f"{number}.npz"), x=numpy.arange(1000))
        with open(self.path("1.npz"), "r+b") as file:
            file.seek(300)
            file.write(b"\xff" * 40)
        path = self.write("p.yaml", f"{HEAD}dataset: {{uri: ., format: npz, crc: true}}\nbatch: {{size: 3}}\n"
                          "errors: {budget: 1}\n")
        batch = next(iter(opiml.Pipeline(path)))
        self.assertEqual(batch.valid.tolist(), [True, False, True])


class Same(Reading):
    """The same records in whatever format give the same digest."""

    def test_digests(self):
        count = 23
        random = numpy.random.default_rng(9)
        x, label = random.integers(0, 255, (count, 4, 4, 3), "u1"), numpy.arange(count, dtype="<i4") - 5
        self.write("raw/a.bin", b"".join(a.tobytes() + b.tobytes() for a, b in zip(x, label)))
        os.makedirs(self.path("npy"))
        os.makedirs(self.path("npz"))
        for number in range(count):
            numpy.save(self.path("npy", f"{number:03}_x.npy"), x[number])
            numpy.save(self.path("npy", f"{number:03}_label.npy"), label[number])
            numpy.savez(self.path("npz", f"{number:03}.npz"), x=x[number], label=label[number])
        numpy.save(self.path("x.npy"), x)
        numpy.save(self.path("label.npy"), label.astype(">i4"))
        numpy.savez(self.path("rows.npz"), x=x, label=label)
        self.write("a.safetensors", safetensors(x=x, label=label))
        self.write("a.jsonl", "".join(json.dumps({"label": int(b), "x": a.tolist()}) + "\n"
                                      for a, b in zip(x, label)))
        if h5py:
            with h5py.File(self.path("a.h5"), "w") as file:
                file["x"], file["label"] = x, label
        datasets = {
            "raw": '{uri: raw, format: raw, fields: ["x:u8:4x4x3", "label:i32"]}',
            "npy files": '{uri: npy, format: npy, parts: ["x:*_x.npy", "label:*_label.npy"]}',
            "npy rows": '{uri: ., format: npy, records: row, parts: ["x:x.npy", "label:label.npy"]}',
            "safetensors": "{uri: a.safetensors, format: safetensors, records: row, fields: [x, label]}",
            "jsonl": '{uri: a.jsonl, format: jsonl, fields: ["x:u8:4x4x3", "label:i32"]}',
            **({"hdf5": "{uri: a.h5, format: hdf5, fields: [x, label]}"} if h5py else {}),
            "npz files": "{uri: npz, format: npz, fields: [x, label]}",
            "npz rows": "{uri: rows.npz, format: npz, records: row, fields: [x, label]}",
        }
        if descriptor_pb2 and crcmod:
            example, frames = example_class(), []
            for number in range(count):
                record = example()
                record.features.feature["label"].int64_list.value.append(int(label[number]))
                record.features.feature["x"].bytes_list.value.append(x[number].tobytes())
                frames.append(frame(record.SerializeToString()))
            self.write("a.tfrecord", b"".join(frames))
            datasets["tfrecord"] = '{uri: a.tfrecord, format: tfrecord, fields: ["x:u8:4x4x3", "label:i32"]}'
        digests = {}
        for name, dataset in datasets.items():
            path = self.write("p.yaml", f"{HEAD}seed: 3\ndataset: {dataset}\nshuffle: {{mode: global}}\n"
                              "ops: [{random_flip: {field: x, p: 0.5}}]\nbatch: {size: 5}\n")
            pipe = opiml.Pipeline(path, epochs=2, digest=True)
            for _ in pipe:
                pass
            digests[name] = pipe.stats()["digest"]
        self.assertEqual(len(set(digests.values())), 1, digests)


def safetensors(**tensors):
    """A file of them, as the format's description says."""
    header, data = {"__metadata__": {"format": "np"}}, b""
    for name, tensor in tensors.items():
        kind = {"u": "U", "i": "I", "f": "F"}[tensor.dtype.kind] + str(tensor.dtype.itemsize * 8)
        header[name] = {"dtype": kind, "shape": tensor.shape,
                        "data_offsets": [len(data), len(data) + tensor.nbytes]}
        data += tensor.tobytes()
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def frame(data):
    """A TFRecord."""
    def masked(bytes_):
        crc = crcmod.predefined.mkPredefinedCrcFun("crc-32c")(bytes_)
        return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xa282ead8) & 0xffffffff)

    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + masked(data)


def example_class():
    """tf.train.Example, from a description of tensorflow/core/example/*.proto."""
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="t", syntax="proto3")
    label, kind = descriptor_pb2.FieldDescriptorProto, descriptor_pb2.FieldDescriptorProto

    def message(name, *fields):
        entry = file.message_type.add(name=name)
        for number, (field, repeated, type_, type_name) in enumerate(fields, 1):
            entry.field.add(name=field, number=number, type=type_, type_name=type_name,
                            label=label.LABEL_REPEATED if repeated else label.LABEL_OPTIONAL)
        return entry

    message("BytesList", ("value", True, kind.TYPE_BYTES, None))
    message("FloatList", ("value", True, kind.TYPE_FLOAT, None))
    message("Int64List", ("value", True, kind.TYPE_INT64, None))
    feature = message("Feature", ("bytes_list", False, kind.TYPE_MESSAGE, ".t.BytesList"),
                      ("float_list", False, kind.TYPE_MESSAGE, ".t.FloatList"),
                      ("int64_list", False, kind.TYPE_MESSAGE, ".t.Int64List"))
    feature.oneof_decl.add(name="kind")
    for field in feature.field:
        field.oneof_index = 0
    features = message("Features", ("feature", True, kind.TYPE_MESSAGE, ".t.Features.FeatureEntry"))
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=kind.TYPE_STRING, label=label.LABEL_OPTIONAL)
    entry.field.add(name="value", number=2, type=kind.TYPE_MESSAGE, type_name=".t.Feature",
                    label=label.LABEL_OPTIONAL)
    message("Example", ("features", False, kind.TYPE_MESSAGE, ".t.Features"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.MessageFactory(pool).GetPrototype(pool.FindMessageTypeByName("t.Example"))


@unittest.skipUnless(descriptor_pb2 and crcmod, "python3-protobuf and python3-crcmod are not installed")
class TfRecord(Reading):
    def records(self, count):
        """(frames, what is in them)"""
        example, frames, values = example_class(), [], []
        random = numpy.random.default_rng(6)
        for number in range(count):
            record = example()
            image = random.integers(0, 255, 48, "u1")
            box = random.normal(size=4).astype("f4")
            record.features.feature["image"].bytes_list.value.append(image.tobytes())
            record.features.feature["label"].int64_list.value.append(number - 3)
            record.features.feature["box"].float_list.value.extend(box.tolist())
            record.features.feature["ids"].int64_list.value.extend([number, -(2 ** 62)])
            frames.append(frame(record.SerializeToString()))
            values.append((image.reshape(4, 4, 3), number - 3, box, (number, -(2 ** 62))))
        return frames, [numpy.array(column) for column in zip(*values)]

    def test_protobufs_messages(self):
        frames, (image, label, box, ids) = self.records(11)
        self.write("a.tfrecord", b"".join(frames[:5]))
        self.write("b.tfrecord", b"".join(frames[5:]))
        self.write("b.tfrecord.idx", "".join(
            f"{sum(map(len, frames[5:5 + n]))} {len(frame)}\n" for n, frame in enumerate(frames[5:])))
        got = self.read('{uri: ., format: tfrecord, fields: '
                        '["image:u8:4x4x3", "label:i32", "box:f32:4", "ids:i64:2"]}')
        self.same(got["image"], image)
        self.same(got["label"], label.astype("i4"))
        self.same(got["box"], box)
        self.same(got["ids"], ids.astype("i8"))

    def test_fields_are_found(self):
        frames, (_, label, box, _) = self.records(5)
        self.write("a.tfrecord", b"".join(frames))
        got = self.read("{uri: a.tfrecord}", "ops: [{select: {fields: [label, box]}}]\nbatch: {size: 2}\n")
        self.same(got["label"], label.astype("i4"))
        self.same(got["box"], box)


@unittest.skipUnless(h5py, "python3-h5py is not installed")
class Hdf5(Reading):
    def test_rows(self):
        random = numpy.random.default_rng(11)
        x, y = random.normal(size=(20, 6, 5)).astype("f4"), numpy.arange(20, dtype=">i2")
        flags = random.integers(0, 2, 20).astype(bool)
        ways = ({}, {"chunks": (1, 6, 5)}, {"chunks": (1, 6, 5), "compression": "gzip"},
                {"chunks": (1, 6, 5), "compression": "gzip", "shuffle": True},
                {"chunks": (1, 6, 5), "shuffle": True})
        for way in ways:
            with h5py.File(self.path("a.h5"), "w") as file:
                file.create_dataset("train/x", data=x, **way)
                file.create_dataset("train/y", data=y)
                file.create_dataset("flags", data=flags)
            for direct in ("false", "true"):
                got = self.read("{uri: a.h5, format: hdf5, fields: [train/x, train/y, flags], index: rebuild, "
                                f"direct: {direct}}}")
                self.same(got["train/x"], x)
                self.same(got["train/y"], y.astype("i2"))
                self.same(got["flags"], flags.view("u1"))

    def test_files(self):
        for number in range(3):
            with h5py.File(self.path(f"{number}.hdf5"), "w") as file:
                file["records"] = numpy.full((4, 4), number, "u1")
                file["labels"] = numpy.int64(number)
        got = self.read("{uri: ., format: hdf5, records: file}")
        self.same(got["labels"], numpy.arange(3))
        self.assertEqual(got["records"].shape, (3, 4, 4))

    def test_what_is_not_read(self):
        with h5py.File(self.path("a.h5"), "w") as file:
            file.create_dataset("lzf", data=numpy.zeros((4, 4)), chunks=(1, 4), compression="lzf")
            file["text"] = "hello"
        for field, what in (("lzf", "filter .lzf. is not read"), ("text", "type without a counterpart")):
            path = self.write("p.yaml", f"{HEAD}dataset: {{uri: a.h5, format: hdf5, fields: [{field}]}}\n"
                              "batch: {size: 1}\n")
            with self.assertRaisesRegex(opiml.Error, what):
                opiml.Pipeline(path)


@unittest.skipUnless(nibabel, "python3-nibabel is not installed")
class Nifti(Reading):
    """Axes are nibabel's in reverse: [z, y, x]."""

    def test_types_orders_and_compression(self):
        random = numpy.random.default_rng(7)
        for kind in ("u1", "i1", "u2", "i2", "i4", "i8", "f4", "f8"):
            for order in "<>":
                for image, name in ((nibabel.Nifti1Image, "1.nii"), (nibabel.Nifti2Image, "2.nii.gz")):
                    array = (random.normal(size=(5, 4, 3)) * 50).astype(kind)
                    header = image.header_class(endianness=order)
                    header.set_data_dtype(kind)
                    image(array, numpy.eye(4), header, dtype=kind).to_filename(self.path(name))
                    got = self.read(f"{{uri: {name}, format: nifti, index: rebuild}}")["image"]
                    self.same(got, array.transpose()[None])

    def test_scaling(self):
        array = numpy.random.default_rng(8).integers(-900, 900, (6, 5, 4)).astype("i2")
        image = nibabel.Nifti1Image(array, numpy.eye(4))
        image.header.set_slope_inter(0.25, -100)
        path = self.path("a.nii")
        image.to_filename(path)
        with open(path, "r+b") as file:  # nibabel scales for itself when it saves
            file.seek(112)
            file.write(struct.pack("<ff", 0.25, -100))
        wanted = numpy.asarray(nibabel.load(path).dataobj).astype("f4").transpose()[None]
        self.same(self.read("{uri: a.nii}")["image"], wanted)

    def test_affines(self):
        """By sform, by qform, by neither; nibabel and NIfTI's own rules for the rest."""
        random = numpy.random.default_rng(9)
        for image in (nibabel.Nifti1Image, nibabel.Nifti2Image):
            for turn in range(30):
                quaternion = random.normal(size=4)
                rotation = nibabel.quaternions.quat2mat(quaternion / numpy.linalg.norm(quaternion))
                affine = numpy.eye(4)
                affine[:3, :3] = rotation @ numpy.diag(random.uniform(0.5, 3, 3) * [1, 1, random.choice([-1, 1])])
                affine[:3, 3] = random.normal(size=3) * 100
                written = image(numpy.zeros((4, 3, 2), "u1"), affine)
                written.set_sform(affine, code=int(turn % 3 == 0))
                written.set_qform(affine, code=int(turn % 3 < 2))
                name = "a.nii.gz" if turn % 2 else "a.nii"
                written.to_filename(self.path(name))
                got = self.read(f"{{uri: {name}, affine: affine, index: rebuild}}")["affine"]
                wanted = nibabel.load(self.path(name)).affine
                self.assertEqual(got.shape, (1, 3, 4))
                numpy.testing.assert_allclose(got[0], wanted[:3], rtol=1e-6, atol=1e-6)

    def test_pairs_of_another_size_each(self):
        for number, size in enumerate((4, 7)):
            for name, value in (("images", number), ("labels", 10 + number)):
                os.makedirs(self.path(name), exist_ok=True)
                array = numpy.full((size, 2, 2), value, "i2")
                nibabel.Nifti1Image(array, numpy.eye(4)).to_filename(self.path(name, f"case{number}.nii.gz"))
        path = self.write("p.yaml", f'{HEAD}dataset: {{uri: ., format: nifti, parts: ["image:images/*.nii.gz", '
                          '"label:labels/*.nii.gz"]}\nops: [{select: {fields: [image]}}]\nbatch: {size: 1}\n')
        with self.assertRaisesRegex(opiml.InvalidError, "differ in shape"):
            opiml.Pipeline(path)

    @unittest.skipUnless(os.path.exists(f"{SHARED}/mni152-t1.nii.gz"), "no volumes beside the clone")
    def test_a_brain(self):
        parts = ", ".join(f'"{name}:mni152-{name}.nii.gz"' for name in ("t1", "gm", "wm"))
        got = self.read(f"{{uri: {SHARED}, format: nifti, parts: [{parts}]}}", "batch: {size: 1}\n")
        for name in ("t1", "gm", "wm"):
            image = nibabel.load(f"{SHARED}/mni152-{name}.nii.gz")
            wanted = numpy.asarray(image.dataobj).transpose()[None]
            self.same(got[name], wanted.astype("f4") if got[name].dtype == numpy.float32 else wanted)


if __name__ == "__main__":
    unittest.main()
