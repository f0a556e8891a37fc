"""What `opiml data convert` writes, read by the formats' own libraries: what went in comes out."""
import csv
import glob
import hashlib
import json
import os
import struct
import subprocess
import tarfile
import zipfile

from helper import Case, needs_peers, numpy, opiml, picture, png, unittest
from test_formats import crcmod, descriptor_pb2, example_class, frame, h5py, nibabel

OPIML = os.environ["OPIML"]
WEBDATASET = """
import hashlib, json, sys, webdataset
print(json.dumps([[row["__key__"], row["cls"].decode(), hashlib.sha256(row["png"]).hexdigest()]
                  for row in webdataset.WebDataset(sys.argv[1:], shardshuffle=False)]))
"""
SAFETENSORS = """
import hashlib, json, sys
from safetensors.numpy import load_file
print(json.dumps({name: [tensor.dtype.str, tensor.shape, hashlib.sha256(tensor.tobytes()).hexdigest()]
                  for name, tensor in load_file(sys.argv[1]).items()}))
"""
COUNT = 23


class Converting(Case):
    def convert(self, source, to, *options, status=0):
        """Run it; returns its JSON, or what it complains of."""
        done = subprocess.run([OPIML, "data", "convert", source, self.path(to), "--json", *options],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
        self.assertEqual(done.returncode, status, done.stderr)
        return json.loads(done.stdout) if status == 0 else done.stderr

    def table(self):
        """(pipeline file, columns): COUNT records of every type."""
        random = numpy.random.default_rng(21)
        kinds = {"a": ("<u1", (4, 4, 3)), "b": ("<i1", ()), "c": ("<u2", (5,)), "d": ("<i2", (2, 2)), "label": ("<i4", ()),
                 "e": ("<i8", ()), "f": ("<f2", (3,)), "g": ("<f4", (2, 3)), "h": ("<f8", ())}
        records = numpy.zeros(COUNT, [(name, kind, shape) for name, (kind, shape) in kinds.items()])
        for name, (kind, shape) in kinds.items():
            whole = numpy.dtype(kind).kind in "iu"
            bits = 8 * numpy.dtype(kind).itemsize
            records[name] = (random.integers(-2 ** (bits - 2), 2 ** (bits - 2), (COUNT, *shape)).astype(kind)
                             if whole else random.normal(size=(COUNT, *shape)))
        self.write("rows/rows.bin", records.tobytes())
        fields = [":".join([name, {"f": "f", "i": "i", "u": "u"}[kind[1]] + str(8 * int(kind[2])),
                            *(["x".join(map(str, shape))] if shape else [])]) for name, (kind, shape) in kinds.items()]
        text = f"opiml: 1\nkind: pipeline\ndataset: {{uri: rows, format: raw, fields: {json.dumps(fields)}}}\n"
        return self.write("rows.yaml", text), {name: records[name] for name in kinds}

    def same(self, got, wanted):
        self.assertEqual(got.dtype, wanted.dtype)
        numpy.testing.assert_array_equal(got, wanted)

    def joined(self, pattern, load):
        """Rows of all shards, in order."""
        parts = [load(path) for path in sorted(glob.glob(self.path(*pattern)))]
        self.assertGreater(len(parts), 1)
        return numpy.concatenate(parts)


class Arrays(Converting):
    def test_npy(self):
        source, columns = self.table()
        self.convert(source, "to", "--format", "npy", "--shard-records", "7")
        for name, column in columns.items():
            self.same(self.joined(("to", f"*_{name}.npy"), numpy.load), column)
        self.convert(source, "files", "--format", "npy", "--set", "records=file", "--fields", "g,h")
        for number in range(COUNT):
            self.same(numpy.load(self.path("files", f"{number:09}_g.npy")), columns["g"][number])
            self.same(numpy.load(self.path("files", f"{number:09}_h.npy")), columns["h"][number])

    def test_npz(self):
        source, columns = self.table()
        self.convert(source, "to", "--format", "npz", "--shard-records", "7")
        for path in glob.glob(self.path("to", "*.npz")):
            self.assertIsNone(zipfile.ZipFile(path).testzip())
        for name, column in columns.items():
            self.same(self.joined(("to", "*.npz"), lambda path, name=name: numpy.load(path)[name]), column)

    def test_npz_files(self):
        source, columns = self.table()
        for level in range(4):
            self.convert(source, f"to{level}", "--format", "npz", "--set", f"records=file,deflate={level}")
            for number in range(COUNT):
                path = self.path(f"to{level}", f"{number:09}.npz")
                self.assertIsNone(zipfile.ZipFile(path).testzip())
                archive = numpy.load(path)
                self.assertEqual(archive.files, list(columns))
                for name, column in columns.items():
                    self.same(archive[name], column[number])

    @unittest.skipUnless(os.environ.get("OPIML_SOAK"), "OPIML_SOAK is not set")
    def test_npz_past_four_gib(self):
        """A member, an offset and a directory that 32 bits do not hold."""
        rows = (2 ** 32 + 2 ** 20) // 4096
        with open(self.path("rows.bin"), "wb") as file:
            file.truncate(rows * 4100)
        source = self.write("rows.yaml", 'dataset: {uri: rows.bin, format: raw, fields: ["x:u8:4096", "n:i32"]}\n')
        self.convert(source, "to.npz", "--no-check")
        with zipfile.ZipFile(self.path("to.npz")) as archive:
            self.assertIsNone(archive.testzip())
            self.assertGreater(archive.getinfo("x.npy").file_size, 2 ** 32)
            self.assertGreater(archive.getinfo("n.npy").header_offset, 2 ** 32)
        self.same(numpy.load(self.path("to.npz"))["n"], numpy.zeros(rows, "i4"))
        self.convert(source, "to.npz", "--overwrite")  # and read back

    def test_safetensors(self):
        source, columns = self.table()
        self.convert(source, "to.safetensors")
        with open(self.path("to.safetensors"), "rb") as file:
            data = file.read()
        length, = struct.unpack("<Q", data[:8])
        self.assertEqual(length % 8, 0)
        header, end = json.loads(data[8:8 + length]), 0
        for name, column in columns.items():
            tensor = header[name]
            self.assertEqual(tensor["data_offsets"][0], end)
            end = tensor["data_offsets"][1]
            self.assertEqual(tensor["dtype"], {"f": "F", "i": "I", "u": "U"}[column.dtype.kind] + str(8 * column.itemsize))
            got = numpy.frombuffer(data[8 + length:][slice(*tensor["data_offsets"])], column.dtype)
            self.same(got.reshape(tensor["shape"]), column)
        self.assertEqual(8 + length + end, len(data))

    @needs_peers
    def test_safetensors_own_library(self):
        source, columns = self.table()
        self.convert(source, "to.safetensors")
        process = self.peer("-c", SAFETENSORS, self.path("to.safetensors"))
        self.assertEqual(process.returncode, 0, process.stdout)
        self.assertEqual(json.loads(process.stdout.splitlines()[-1]),
                         {name: [column.dtype.str, list(column.shape), hashlib.sha256(column.tobytes()).hexdigest()]
                          for name, column in columns.items()})

    @unittest.skipUnless(h5py, "python3-h5py is not installed")
    def test_hdf5(self):
        source, columns = self.table()
        for number, options in enumerate(("deflate=0", "deflate=1", "deflate=3,shuffle=false")):
            self.convert(source, f"to{number}", "--format", "hdf5", "--shard-records", "7", "--set", options,
                         "--fields", "group/a=a," + ",".join(columns))
            for name in columns:
                self.same(self.joined((f"to{number}", "*.h5"), lambda path, name=name: h5py.File(path)[name][...]),
                          columns[name])
            self.same(self.joined((f"to{number}", "*.h5"), lambda path: h5py.File(path)["group/a"][...]), columns["a"])

    @unittest.skipUnless(nibabel, "python3-nibabel is not installed")
    def test_nifti(self):
        source, columns = self.table()
        names = [name for name in "acdg"]
        for level in (0, 1, 3):
            self.convert(source, f"to{level}", "--format", "nifti", "--set", f"gzip={level}", "--fields", ",".join(names))
            for number in range(COUNT):
                for name in names:
                    path = self.path(f"to{level}", name, f"{number:09}.nii" + (".gz" if level else ""))
                    image = nibabel.load(path)
                    self.assertIsInstance(image, nibabel.Nifti1Image)
                    numpy.testing.assert_array_equal(image.affine, numpy.eye(4))
                    self.assertEqual(image.header.get_xyzt_units()[0], "mm")
                    self.same(numpy.asarray(image.dataobj).transpose(), columns[name][number])

    @unittest.skipUnless(nibabel, "python3-nibabel is not installed")
    def test_nifti_with_its_affine(self):
        affine = numpy.array([[0.5, 0, 0, -10], [0, -2, 0, 20], [0.25, 0, 1.25, 30], [0, 0, 0, 1]])
        volume = numpy.random.default_rng(4).integers(0, 99, (4, 5, 6)).astype("i2")
        os.makedirs(self.path("from"))
        nibabel.Nifti1Image(volume, affine).to_filename(self.path("from", "a.nii"))
        source = self.write("a.yaml", "dataset: {uri: from, format: nifti, affine: where}\n")
        self.convert(source, "npz", "--format", "npz")
        self.convert(self.path("npz", "dataset.yaml"), "back", "--format", "nifti", "--set", "affine=where")
        image = nibabel.load(self.path("back", "image", "000000000.nii.gz"))
        numpy.testing.assert_array_equal(image.affine, affine)
        self.same(numpy.asarray(image.dataobj), volume)

    @unittest.skipUnless(nibabel, "python3-nibabel is not installed")
    def test_nifti_of_long_axes_and_other_sizes(self):
        shapes = [(2, 40000), (1, 33000)]
        for number, shape in enumerate(shapes):
            numpy.save(self.path(f"{number}.npy"), numpy.arange(shape[0] * shape[1], dtype="i4").reshape(shape))
        os.makedirs(self.path("from"))
        for number in range(2):
            os.rename(self.path(f"{number}.npy"), self.path("from", f"{number}.npy"))
        self.convert(self.path("from"), "to", "--format", "nifti")
        for number, shape in enumerate(shapes):
            image = nibabel.load(self.path("to", "data", f"{number:09}.nii.gz"))
            self.assertIsInstance(image, nibabel.Nifti2Image)
            self.same(numpy.asarray(image.dataobj).transpose(), numpy.load(self.path("from", f"{number}.npy")))


class Streams(Converting):
    @unittest.skipUnless(descriptor_pb2 and crcmod, "python3-protobuf and python3-crcmod are not installed")
    def test_tfrecord(self):
        source, columns = self.table()
        self.convert(source, "to", "--format", "tfrecord", "--shard-records", "7", "--set", "index=true")
        example, rows = example_class(), []
        for path in sorted(glob.glob(self.path("to", "*.tfrecord"))):
            with open(path, "rb") as file, open(path + ".idx", encoding="ascii") as index:
                data, at = file.read(), 0
                for line in index:
                    offset, length = map(int, line.split())
                    self.assertEqual(offset, at)
                    body = data[at + 12:at + length - 4]
                    self.assertEqual(data[at:at + length], frame(body))
                    record = example()
                    record.ParseFromString(body)
                    rows.append(record.features.feature)
                    at += length
                self.assertEqual(at, len(data))
        self.assertEqual(len(rows), COUNT)
        for name, column in columns.items():
            for row, wanted in zip(rows, column):
                kind = row[name].WhichOneof("kind")
                values = getattr(row[name], kind).value
                bits = wanted.dtype.kind == "f" and name != "g" or name == "a"
                self.assertEqual(kind, "bytes_list" if bits else "float_list" if name == "g" else "int64_list")
                got = numpy.frombuffer(values[0], wanted.dtype) if bits else numpy.array(values, wanted.dtype)
                self.same(got.reshape(wanted.shape), wanted)

    def test_jsonl(self):
        source, columns = self.table()
        names = [name for name in columns if name != "f"]
        self.convert(source, "to.jsonl", "--fields", ",".join(names))
        with open(self.path("to.jsonl"), encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        self.assertEqual([list(row) for row in rows], [names] * COUNT)
        for name in names:
            wanted = columns[name]
            self.same(numpy.array([row[name] for row in rows], wanted.dtype), wanted)
        self.assertEqual(rows[0]["h"], float(columns["h"][0]))  # not only as near as a type has it

    def test_csv(self):
        source, columns = self.table()
        for delimiter, character in (("comma", ","), ("tab", "\t"), ("semicolon", ";")):
            self.convert(source, f"{delimiter}.csv", "--set", f"delimiter={delimiter}", "--fields", "label,x y=e,h")
            with open(self.path(f"{delimiter}.csv"), newline="", encoding="utf-8") as file:
                rows = list(csv.reader(file, delimiter=character))
            self.assertEqual(rows[0], ["label", "x y", "h"])
            for at, name in enumerate(("label", "e", "h")):
                self.same(numpy.array([row[at] for row in rows[1:]]).astype(columns[name].dtype), columns[name])

    def test_texts(self):
        texts = ["", " ", "plain", 'a "quote"', "a,b;c\td", "line\nand\r\nline", "h\u00f6he \U0001f600", "\\n", "\x7f\x01"]
        self.write("a.jsonl", "".join(json.dumps({"text": text, "n": n}) + "\n" for n, text in enumerate(texts)))
        self.convert(self.path("a.jsonl"), "b.csv")
        with open(self.path("b.csv"), newline="", encoding="utf-8") as file:
            self.assertEqual([row["text"] for row in csv.DictReader(file)], texts)
        self.convert(self.path("b.csv"), "c.jsonl")
        with open(self.path("c.jsonl"), encoding="utf-8") as file:
            self.assertEqual([json.loads(line)["text"] for line in file], texts)

    def test_webdataset(self):
        images = [png(picture(8, 8, number)) for number in range(5)]
        for number, image in enumerate(images):
            self.write(f"from/{'ab'[number % 2]}/{number}.png", image)
        self.convert(self.path("from"), "to", "--format", "webdataset", "--shard-records", "2")
        members = {}
        for path in sorted(glob.glob(self.path("to", "*.tar"))):
            with tarfile.open(path) as archive:
                for member in archive:
                    members[member.name] = archive.extractfile(member).read()
        order = [0, 2, 4, 1, 3]  # by class, as the folder is read
        self.assertEqual(list(members), [f"{n:09}.{kind}" for n in range(5) for kind in ("png", "cls")])
        for number, old in enumerate(order):
            self.assertEqual(members[f"{number:09}.png"], images[old])
            self.assertEqual(members[f"{number:09}.cls"], str(old % 2).encode())
        self.convert(self.path("to"), "back", "--format", "image-folder")
        paths = sorted(glob.glob(self.path("back", "[01]", "*.png")))
        self.assertEqual(len(paths), 5)
        for path, old in zip(paths, order):
            with open(path, "rb") as file:
                self.assertEqual(file.read(), images[old])

    @needs_peers
    def test_webdatasets_own_library(self):
        images = [png(picture(8, 8, number)) for number in range(5)]
        for number, image in enumerate(images):
            self.write(f"from/{'ab'[number // 3]}/{number}.png", image)
        self.convert(self.path("from"), "to", "--format", "webdataset", "--shard-records", "2")
        process = self.peer("-c", WEBDATASET, *sorted(glob.glob(self.path("to", "*.tar"))))
        self.assertEqual(process.returncode, 0, process.stdout)
        self.assertEqual(json.loads(process.stdout.splitlines()[-1]),
                         [[f"{n:09}", str(n // 3), hashlib.sha256(image).hexdigest()]
                          for n, image in enumerate(images)])

    def test_tokens(self):
        for kind in ("u2", "i4"):
            ids = numpy.random.default_rng(3).integers(0, 30000, (11, 64)).astype(kind)
            numpy.save(self.path("ids.npy"), ids)
            source = self.write("ids.yaml", "dataset: {uri: ids.npy, format: npy, records: row}\n")
            self.convert(source, f"{kind}.bin", "--format", "tokens", "--fields", "tokens=data")
            numpy.testing.assert_array_equal(numpy.fromfile(self.path(f"{kind}.bin"), "<u" + kind[1]), ids.ravel())

    def test_raw(self):
        source, _ = self.table()
        self.convert(source, "to.bin", "--format", "raw")
        with open(self.path("to.bin"), "rb") as to, open(self.path("rows", "rows.bin"), "rb") as rows:
            self.assertEqual(to.read(), rows.read())


class RoundTrip(Converting):
    """From each format into each other that holds such records, and back."""

    def digest(self, dataset):
        text = f"opiml: 1\nkind: pipeline\nseed: 3\ndataset: {dataset}\nshuffle: {{mode: global}}\nbatch: {{size: 5}}\n"
        pipe = opiml.Pipeline(self.write("digest.yaml", text), epochs=1, digest=True)
        for _ in pipe:
            pass
        return pipe.stats()["digest"]

    def test_every_pair(self):
        source, _ = self.table()
        kinds = ["raw", "jsonl", "npy", "npz", "safetensors", "tfrecord"] + (["hdf5"] if h5py else [])
        first = self.convert(source, "first", "--format", "raw", "--fields", "a,b,c,d,label,e,g,h")
        digests, made = {}, {}
        for kind in kinds:
            made[kind] = self.convert(self.path("first", "dataset.yaml"), f"one/{kind}", "--format", kind,
                                      "--shard-records", "9")
            for other in kinds:
                again = self.convert(self.path("one", kind, "dataset.yaml"), f"two/{kind}/{other}", "--format", other,
                                     "--shard-records", "5")
                place = again["dataset"].replace('uri: "."', f'uri: "two/{kind}/{other}"')
                digests[kind, other] = self.digest(place)
        self.assertEqual(len(set(digests.values())), 1, digests)
        self.assertEqual(digests["raw", "raw"], self.digest(first["dataset"].replace('"."', '"first"')))
        self.assertEqual(len({report["digest"] for report in made.values()}), 1)


if __name__ == "__main__":
    unittest.main()
