"""What the tests share: a folder for each test, and datasets made with NumPy, zlib and Pillow."""
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import textwrap
import unittest
import zlib

import numpy

import opiml

try:
    from PIL import Image
except ImportError:
    Image = None

PEERS = os.environ.get("OPIML_PEERS", "")  # a Python that has the packages of tools/peers.txt
needs_peers = unittest.skipUnless(os.path.exists(PEERS), "the packages of tools/peers.txt are not "
                                                         "installed: ./dev test installs them")
needs_pillow = unittest.skipUnless(Image, "Pillow (python3-pil) is not installed")

ROWS = """
opiml: 1
kind: pipeline
seed: 11
pool: 16MiB
dataset: {uri: rows.bin, format: raw, fields: ["x:f32:3", "label:i32"]}
shuffle: {mode: global}
batch: {size: 16}
"""


class Case(unittest.TestCase):
    """A test with an empty folder, self.folder."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="opiml-python-")
        self.addCleanup(shutil.rmtree, self.folder)
        # What tests leave, indexes of their datasets and what their nodes keep, is none of the user's.
        for name, folder in (("XDG_CACHE_HOME", "cache"), ("XDG_STATE_HOME", "state-home")):
            self.set(name, self.path(folder))

    def set(self, name, value):
        """Set a variable of the environment for the test."""
        before = os.environ.get(name)
        os.environ[name] = value
        self.addCleanup(lambda: os.environ.update({name: before}) if before is not None
                        else os.environ.pop(name))

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, content):
        """A file below the folder; returns its path."""
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        return path

    def rows(self, count=100, text=ROWS):
        """(pipeline file, records): a table of `count` records, whose label is their number."""
        records = numpy.zeros(count, [("x", "<f4", 3), ("label", "<i4")])
        records["x"] = numpy.random.default_rng(5).normal(size=(count, 3))
        records["label"] = numpy.arange(count)
        self.write("rows.bin", records.tobytes())
        return self.write("rows.yaml", text), records

    def python(self, code, *arguments, **options):
        """Run code in a process of its own, with `path`s as sys.argv; returns it once it ended."""
        options.setdefault("timeout", 60)
        return subprocess.run([sys.executable, "-c", textwrap.dedent(code), *arguments],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)

    def run_opiml(self, *arguments, **options):
        """Run the program in the folder."""
        options.setdefault("timeout", 120)
        return subprocess.run([os.environ["OPIML"], *arguments], cwd=self.folder, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)

    def opiml(self, *arguments, **options):
        """The same; it has to end well."""
        process = self.run_opiml(*arguments, **options)
        self.assertEqual(process.returncode, 0, process.stderr)
        return process

    def start_node(self, *options, env=None, stderr=None):
        """A node that ends with the test, without metrics and on ports of its own unless the options say another
        thing: its process and address."""
        usual = {"--listen": "127.0.0.1:0", "--data": "127.0.0.1:0", "--metrics": "off"}
        usual = [word for name, value in usual.items() if name not in options for word in (name, value)]
        process = subprocess.Popen([os.environ["OPIML"], "node", "start", *usual, *options], cwd=self.folder, text=True,
                                   stdout=subprocess.PIPE, stderr=stderr, env={**os.environ, **(env or {})})
        self.addCleanup(process.stdout.close)
        if process.stderr:
            self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        line = process.stdout.readline()
        self.assertIn("serving on", line, process.stderr.read() if process.stderr and not line else "")
        return process, line.split()[-1]

    def peer(self, module, *arguments, **options):
        """Run `python -m module`, or code with "-c", with the packages of tools/peers.txt."""
        options.setdefault("timeout", 120)
        options.setdefault("env", {})
        return subprocess.run([PEERS, *(["-m", module] if module != "-c" else ["-c"]), *arguments],
                              cwd=self.folder, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, **options)


def collect(pipeline):
    """Every batch of a pass as (epoch, index, dict of copies)."""
    return [(batch.epoch, batch.index, batch.copy()) for batch in pipeline]


def png(pixels):
    """An RGB image [height, width, 3] u8 as a PNG file."""
    height, width, _ = pixels.shape
    lines = b"".join(b"\0" + line.tobytes() for line in pixels)

    def chunk(kind, data):
        return (struct.pack(">I", len(data)) + kind + data +
                struct.pack(">I", zlib.crc32(kind + data)))

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b""))


def picture(height, width, seed):
    """A smooth, coloured image with some noise, [height, width, 3] u8."""
    random = numpy.random.default_rng(seed)
    y, x = numpy.mgrid[0:height, 0:width]
    waves = [numpy.sin(x / (3 + c) + seed) * 60 + numpy.cos(y / (4 + c)) * 50 for c in range(3)]
    noise = random.normal(0, 4, (height, width, 3))
    return numpy.clip(numpy.stack(waves, axis=2) + 128 + noise, 0, 255).astype("u1")


def bits(batches):
    """Something equal for equal batches only, bit for bit."""
    return [(epoch, index, {name: (array.dtype.str, array.shape, array.tobytes())
                            for name, array in arrays.items()})
            for epoch, index, arrays in batches]


__all__ = ["Case", "Image", "ROWS", "bits", "collect", "needs_peers", "needs_pillow", "numpy", "opiml",
           "picture", "png", "unittest"]
