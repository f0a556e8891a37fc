"""A field's rows as a DLPack tensor: for JAX, CuPy and others, and for bf16, which NumPy lacks.

The structs are those of dlpack.h, version 0.8 (https://dmlc.github.io/dlpack/latest/c_api.html),
which every consumer takes.
"""
import ctypes

_CPU = 1
_CODES = {"u": 1, "i": 0, "f": 2, "b": 4}  # by the first letter of our types; b: bfloat16
_NAME = b"dltensor"


class _DLTensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("device_type", ctypes.c_int32),
                ("device_id", ctypes.c_int32), ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8),
                ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
                ("shape", ctypes.POINTER(ctypes.c_int64)),
                ("strides", ctypes.POINTER(ctypes.c_int64)), ("byte_offset", ctypes.c_uint64)]


class _Managed(ctypes.Structure):
    pass


_Deleter = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Managed))
_Managed._fields_ = [("tensor", _DLTensor), ("context", ctypes.c_void_p), ("deleter", _Deleter)]

_capsule_new = ctypes.pythonapi.PyCapsule_New
_capsule_new.restype = ctypes.py_object
_capsule_new.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
_capsule_is = ctypes.pythonapi.PyCapsule_IsValid
_capsule_is.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_pointer.restype = ctypes.c_void_p
_capsule_pointer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]

# What consumers hold: the address of its _Managed → that, and all that must live as long.
_lent = {}


# Consumers may call these when Python ends and this module's names are gone already: the functions
# bind what they need, and are never freed.
@_Deleter
def _give_back(managed, lent=_lent, addressof=ctypes.addressof):
    lent.pop(addressof(managed.contents), None)


@ctypes.CFUNCTYPE(None, ctypes.c_void_p)
def _drop(capsule, lent=_lent, is_ours=_capsule_is, pointer=_capsule_pointer, name=_NAME):
    """A capsule dies: a consumer that took its tensor has renamed it, and calls the deleter itself."""
    if is_ours(capsule, name):
        lent.pop(pointer(capsule, name), None)


for _function in _give_back, _drop:
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(_function))


class Tensor:
    """What Batch.dlpack() gives: an object that any from_dlpack() takes, once or several times. The
    consumer's tensor lies in the batch's memory and keeps it."""

    def __init__(self, slot, address, shape, dtype):
        self._slot = slot
        self._address = address
        self.shape = shape
        self.dtype = dtype

    def __dlpack_device__(self):
        return _CPU, 0

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        if stream is not None:
            raise BufferError("a stream is of a GPU; this memory is the CPU's")
        if dl_device not in (None, (_CPU, 0)):
            raise BufferError(f"this memory is the CPU's, not device {dl_device}'s")
        if copy:
            raise BufferError("copy what from_dlpack() gives instead")
        shape = (ctypes.c_int64 * len(self.shape))(*self.shape)
        managed = _Managed(deleter=_give_back)
        managed.tensor = _DLTensor(data=self._address, device_type=_CPU, ndim=len(self.shape),
                                   code=_CODES[self.dtype[0]], lanes=1, shape=shape,
                                   bits=int(self.dtype.lstrip("uifb")))
        address = ctypes.addressof(managed)
        _lent[address] = managed, shape, self._slot
        return _capsule_new(address, _NAME, _drop)
