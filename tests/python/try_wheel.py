"""What tools/try-wheel runs with an installed wheel, away from this tree: read pictures, shuffled and
cropped, into NumPy arrays, and say which libraries did it."""
import json
import os
import struct
import subprocess
import sys
import tempfile
import zlib

import numpy
import opiml

SIZE, CLASSES, EACH = 24, 3, 20


def png(pixels):
    height, width, _ = pixels.shape

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    lines = b"".join(b"\0" + line.tobytes() for line in pixels)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b""))


def make(folder):
    """Class folders; every pixel of a picture tells its class and its number."""
    for label in range(CLASSES):
        os.makedirs(f"{folder}/data/class{label}")
        for number in range(EACH):
            pixels = numpy.full((SIZE, SIZE, 3), (label, number, 7), "u1")
            with open(f"{folder}/data/class{label}/{number}.png", "wb") as file:
                file.write(png(pixels))
    with open(f"{folder}/p.yaml", "w") as file:
        file.write("opiml: 1\nkind: pipeline\nseed: 3\ndataset: {uri: data, format: image-folder}\n"
                   "shuffle: {mode: global}\nops:\n  - decode: {}\n  - random_crop: {size: [16, 16]}\n"
                   "  - random_flip: {p: 0.5}\nbatch: {size: 8}\n")
    return f"{folder}/p.yaml"


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        pipe = opiml.Pipeline(make(folder), digest=True)
        seen = []
        for batch in pipe:
            image, label = batch["image"], batch["label"]
            assert image.shape == (len(label), 16, 16, 3) and image.dtype == numpy.uint8
            assert (image[:, :, :, 0] == label[:, None, None]).all()
            assert (image[:, :, :, 1] == image[:, :1, :1, 1]).all() and (image[:, :, :, 2] == 7).all()
            seen += zip(label.tolist(), image[:, 0, 0, 1].tolist())
        assert sorted(seen) == [(c, n) for c in range(CLASSES) for n in range(EACH)]
        assert seen != sorted(seen), "shuffled"
        report = subprocess.run([f"{sys.prefix}/bin/opiml", "feed", f"{folder}/p.yaml", "--digest", "--json"],
                                check=True, stdout=subprocess.PIPE).stdout
        assert json.loads(report)["digest"] == pipe.stats()["digest"], report
        print(f"opiml {opiml.__version__}: {len(seen)} pictures, digest {pipe.stats()['digest']}")
    with open("/proc/self/maps") as file:
        loaded = {line.split()[-1] for line in file if ".so" in line}
    ours = {path for path in loaded if os.path.basename(path).startswith("libopiml")}
    assert ours and all(path.startswith(sys.prefix) for path in ours), ours
    strange = {path for path in loaded if "libjpeg.so" in path or "libspng.so" in path}
    assert not strange, f"not the wheel's own: {strange}"
    print(f"{len(ours)} libraries, all from the wheel")


main()
