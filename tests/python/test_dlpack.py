"""Batches through DLPack: NumPy, PyTorch where it is, and JAX from tools/peers.txt."""
import gc
import os
import warnings

from helper import Case, ROWS, needs_peers, numpy, opiml, unittest

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch
except ImportError:
    torch = None

BF16 = ROWS.replace("batch:", "ops: [{cast: {field: x, to: bf16}}]\nbatch:")

JAX = """
import sys, numpy, jax, opiml
pipeline = opiml.Pipeline(sys.argv[1])
kept, sums = [], []
for batch in pipeline:
    x = jax.dlpack.from_dlpack(batch.dlpack("x"))
    assert x.dtype == jax.numpy.bfloat16 and x.shape == (batch.rows, 3), x
    kept.append(x)
    sums.append(batch["x"].copy())
    if len(kept) > 3:
        del kept[0], sums[0]
    for x, bits in zip(kept, sums):
        assert (numpy.asarray(x).view("u2") == bits).all()
print("fine")
"""


class DLPack(Case):
    def test_numpy_sees_the_same_memory(self):
        path, _ = self.rows(64)
        for batch in opiml.Pipeline(path):
            for name in batch:
                array = numpy.from_dlpack(batch.dlpack(name))
                self.assertEqual((array.dtype, array.shape), (batch[name].dtype, batch[name].shape))
                self.assertEqual(array.ctypes.data, batch[name].ctypes.data)
                numpy.testing.assert_array_equal(array, batch[name])

    def test_memory_is_held_and_given_back(self):
        from opiml import dlpack
        path, _ = self.rows(100 * 16)
        kept = []
        for batch in opiml.Pipeline(path):
            kept.append((batch["label"].copy(), numpy.from_dlpack(batch.dlpack("label"))))
            unused = batch.dlpack("x").__dlpack__()  # a capsule that nobody takes
            del batch, unused
            for copy, array in kept:
                numpy.testing.assert_array_equal(copy, array)
            del kept[:-3]
        del kept, copy, array
        gc.collect()
        self.assertEqual(len(dlpack._lent), 0)

    def test_what_cannot_be_is_refused(self):
        path, _ = self.rows(16)
        for batch in opiml.Pipeline(path):
            tensor = batch.dlpack("x")
            self.assertEqual(tensor.__dlpack_device__(), (1, 0))
            for options in {"stream": 1}, {"dl_device": (2, 0)}, {"copy": True}:
                self.assertRaises(BufferError, tensor.__dlpack__, **options)
            self.assertRaises(KeyError, batch.dlpack, "y")

    @unittest.skipUnless(torch, "PyTorch (python3-torch) is not installed")
    def test_pytorch_gets_bf16(self):
        path, _ = self.rows(64, BF16)
        for batch in opiml.Pipeline(path):
            tensor = torch.from_dlpack(batch.dlpack("x"))
            self.assertEqual(tensor.dtype, torch.bfloat16)
            self.assertEqual(tensor.view(torch.int16).tolist(), batch["x"].view("i2").tolist())

    @needs_peers
    def test_jax_gets_bf16(self):
        path, _ = self.rows(20 * 16, BF16)
        process = self.peer("-c", JAX, path, env={
            name: os.environ[name] for name in ("PYTHONPATH", "OPIML_LIBRARY", "XDG_CACHE_HOME")
            if name in os.environ})
        self.assertEqual(process.stdout.strip().splitlines()[-1:], ["fine"], process.stdout)


if __name__ == "__main__":
    unittest.main()
