"""Batches: rows of every field as NumPy arrays that lie in the library's memory."""
import ctypes
import os
from collections import namedtuple
from collections.abc import Mapping

import numpy

from opiml.dlpack import Tensor
from opiml.native import lib

# What became of a row: Batch.status.
ROW_OK = 1
ROW_DROPPED = 2  # a filter said no
ROW_FAILED = 3   # a bad record; Pipeline.stats()["bad"] has its line

# NumPy has no bfloat16: its 16 bits come as uint16.
_NUMPY = {"u8": "u1", "i8": "i1", "u16": "<u2", "i16": "<i2", "i32": "<i4", "i64": "<i8",
          "f16": "<f2", "bf16": "<u2", "f32": "<f4", "f64": "<f8"}

Field = namedtuple("Field", "name dtype shape")
Field.__doc__ = """A field of a batch: its name, the type of its elements ("u8", "f32", "bf16", ...) and the shape of
one row. The array has one dimension more in front, the rows."""


def fields_of(schema):
    """struct opiml_schema → {name: Field}, in the schema's order."""
    fields = [schema.fields[i] for i in range(schema.count)]
    return {field.name.decode(): Field(field.name.decode(),
                                       lib.opiml_dtype_text(field.dtype).decode(),
                                       tuple(field.shape[:field.ndim])) for field in fields}


class Slot:
    """The library's memory of one batch. It goes back when this object dies, and everything that
    looks into the memory holds this object."""

    __slots__ = ("feed", "batch")

    def __init__(self, feed, batch):
        self.feed = feed
        self.batch = batch
        feed.held[id(self)] = None

    # May be called when Python ends and this module's names are gone: what it needs is bound.
    def __del__(self, getpid=os.getpid, release=lib.opiml_batch_release):
        self.feed.held.pop(id(self), None)
        if getpid() == self.feed.process:  # a forked child has none of the feed's threads
            release(self.batch)


class _Memory:
    """One field's rows; what NumPy keeps as the base of the array, and of every view of it."""

    __slots__ = ("slot", "__array_interface__")

    def __init__(self, slot, address, shape, dtype):
        self.slot = slot
        self.__array_interface__ = {"version": 3, "data": (address, False), "shape": shape,
                                    "typestr": numpy.dtype(dtype).str}


def _copied(pointer, count, dtype):
    return numpy.frombuffer(ctypes.string_at(pointer, count * numpy.dtype(dtype).itemsize), dtype)


class Batch(Mapping):
    """Field name → array of shape (rows, *the field's shape).

    The arrays are not copied. Their memory goes back to the pipeline when the batch and every array
    made from it are gone, or, with copy=True, at once: no array ever shows another batch's rows.
    `with batch:` and release() let go of the batch's own hold early.

    rows            rows of this rank's slice of the batch, holes included
    live            rows that are no holes
    valid           bool array: False for holes, whose bytes are zero
    status          uint8 array of ROW_OK, ROW_DROPPED or ROW_FAILED
    samples         uint64 array: the record behind each row
    epoch, index    epoch, and number of the batch in it
    first_position  position of row 0 in the epoch
    token           resume token: goes on behind this batch
    fields          {name: Field}
    """

    __slots__ = ("rows", "live", "status", "samples", "epoch", "index", "first_position", "token",
                 "fields", "_slot", "_arrays", "__weakref__")

    def __init__(self, slot, fields, copy):
        batch = slot.batch.contents
        self.rows = batch.rows
        self.live = batch.live
        self.epoch = batch.epoch
        self.index = batch.index
        self.first_position = batch.first_position
        self.token = batch.token.decode()
        self.status = _copied(batch.status, batch.rows, "u1")
        self.samples = _copied(batch.samples, batch.rows, "<u8")
        self.fields = fields
        self._slot = slot
        self._arrays = {}
        if copy:
            self._arrays = self.copy()
            self._slot = None

    def __getitem__(self, name):
        array = self._arrays.get(name)
        if array is None:
            array = self._arrays[name] = self._look(name)
        return array

    def _look(self, name):
        address, shape, dtype = self._place(name)
        return numpy.asarray(_Memory(self._slot, address, shape, _NUMPY[dtype]))

    def _place(self, name):
        if name not in self.fields:
            raise KeyError(f"{name}; the fields are {', '.join(self.fields)}")
        if self._slot is None:
            raise ValueError("this batch was released")
        field = self.fields[name]
        address = self._slot.batch.contents.data[list(self.fields).index(name)]
        return address, (self.rows, *field.shape), field.dtype

    def dlpack(self, name):
        """The field for any library's from_dlpack(), such as jax.dlpack's: not copied, bf16 as it is.
        Not of a pipeline with copy=True."""
        address, shape, dtype = self._place(name)
        return Tensor(self._slot, address, shape, dtype)

    def __iter__(self):
        return iter(self.fields)

    def __len__(self):
        return len(self.fields)

    @property
    def valid(self):
        return self.status == ROW_OK

    def copy(self):
        """A plain dict of arrays with memory of their own."""
        return {name: self[name].copy() for name in self}

    def release(self):
        """Let go of the memory. Arrays that were taken out keep it until they are gone too."""
        self._slot = None
        self._arrays = {}

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        self.release()

    def __repr__(self):
        shapes = ", ".join(f"{field.name} {field.dtype} {(self.rows, *field.shape)}"
                           for field in self.fields.values())
        return f"<opiml.Batch {self.index} of epoch {self.epoch}: {shapes}>"
