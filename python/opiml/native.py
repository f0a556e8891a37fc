"""libopiml as ctypes sees it: where it is found, its structs and functions (include/opiml/)."""
import ctypes
import ctypes.util
import os
from ctypes import POINTER, c_bool, c_char, c_char_p, c_int, c_int32, c_int64, c_size_t, c_uint8, \
    c_uint32, c_uint64, c_void_p

from opiml import errors

MAX_DIMS = 5
MAX_FIELDS = 64
NAME_BYTES = 48
TOKEN_BYTES = 192
MAX_STATIONS = 64


class ErrorDetail(ctypes.Structure):  # struct opiml_error
    _fields_ = [("code", c_int), ("message", c_char * 1020)]


class Field(ctypes.Structure):  # struct opiml_field
    _fields_ = [("name", c_char * NAME_BYTES), ("dtype", c_uint32), ("ndim", c_uint32),
                ("shape", c_int64 * MAX_DIMS), ("max_bytes", c_uint64)]


class Schema(ctypes.Structure):  # struct opiml_schema
    _fields_ = [("count", c_uint32), ("fields", Field * MAX_FIELDS)]


class FeedOptions(ctypes.Structure):  # struct opiml_feed_options
    _fields_ = [("size", c_uint32), ("threads", c_uint32), ("rank", c_uint32), ("world", c_uint32),
                ("epochs", c_uint64), ("limit", c_uint64), ("digest", c_bool),
                ("resume", c_char_p), ("pool_bytes", c_uint64), ("cut", c_int32), ("join", c_char_p)]


class Batch(ctypes.Structure):  # struct opiml_batch
    _fields_ = [("size", c_uint32), ("rows", c_uint32), ("live", c_uint32), ("epoch", c_uint64),
                ("index", c_uint64), ("first_position", c_uint64), ("status", POINTER(c_uint8)),
                ("samples", POINTER(c_uint64)), ("schema", POINTER(Schema)),
                ("data", c_void_p * MAX_FIELDS), ("token", c_char_p), ("slot", c_void_p)]


class StationStats(ctypes.Structure):  # struct opiml_station_stats
    _fields_ = [("name", c_char * NAME_BYTES), ("rows", c_uint64), ("bytes", c_uint64),
                ("busy_ns", c_uint64), ("wait_ns", c_uint64), ("threads", c_uint32)]


class FeedStats(ctypes.Structure):  # struct opiml_feed_stats
    _fields_ = [("samples", c_uint64), ("dropped", c_uint64), ("errors", c_uint64),
                ("batches", c_uint64), ("bytes_read", c_uint64), ("bytes_delivered", c_uint64),
                ("elapsed_ns", c_uint64), ("first_batch_ns", c_uint64), ("wait_ns", c_uint64),
                ("pool_bytes", c_uint64), ("pool_peak_bytes", c_uint64),
                ("allocations", c_uint64), ("library_allocations", c_uint64),
                ("library_bytes", c_uint64), ("digest", c_uint64 * 2),
                ("token", c_char * TOKEN_BYTES), ("stations", c_uint32), ("bottleneck", c_int32),
                ("station", StationStats * MAX_STATIONS)]


# Name → result, arguments. Pipelines and feeds are opaque pointers.
_FUNCTIONS = {
    "opiml_code_name": (c_char_p, [c_int]),
    "opiml_dtype_text": (c_char_p, [c_uint32]),
    "opiml_feed_options_init": (None, [POINTER(FeedOptions)]),
    "opiml_pipeline_open": (c_int, [c_char_p, POINTER(c_void_p), POINTER(ErrorDetail)]),
    "opiml_pipeline_open_joined": (c_int, [c_char_p, c_char_p, POINTER(c_void_p),
                                           POINTER(ErrorDetail)]),
    "opiml_pipeline_parse": (c_int, [c_char_p, c_size_t, c_char_p, POINTER(c_void_p),
                                     POINTER(ErrorDetail)]),
    "opiml_pipeline_close": (None, [c_void_p]),
    "opiml_pipeline_schema": (POINTER(Schema), [c_void_p]),
    "opiml_pipeline_records": (c_uint64, [c_void_p]),
    "opiml_pipeline_positions": (c_uint64, [c_void_p]),
    "opiml_pipeline_batch_rows": (c_uint32, [c_void_p]),
    "opiml_pipeline_batches": (c_uint64, [c_void_p]),
    "opiml_pipeline_class": (c_char_p, [c_void_p, c_uint32]),
    "opiml_feed_open": (c_int, [c_void_p, POINTER(FeedOptions), POINTER(c_void_p),
                                POINTER(ErrorDetail)]),
    "opiml_feed_next": (c_int, [c_void_p, POINTER(POINTER(Batch)), POINTER(ErrorDetail)]),
    "opiml_batch_release": (None, [POINTER(Batch)]),
    "opiml_feed_close": (None, [c_void_p]),
    "opiml_feed_cancel": (None, [c_void_p]),
    "opiml_feed_stats": (None, [c_void_p, POINTER(FeedStats)]),
    "opiml_feed_bad": (c_char_p, [c_void_p, c_uint32]),
}


def _find():
    """Beside this file (a wheel), then $OPIML_LIBRARY, then where the system keeps libraries."""
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), "libopiml.so")
    if os.path.exists(beside):
        return beside
    named = os.environ.get("OPIML_LIBRARY")
    if named:
        return named
    return ctypes.util.find_library("opiml") or "libopiml.so.0"


def _load():
    path = _find()
    try:
        library = ctypes.CDLL(path)
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(library, name)
            function.restype = result
            function.argtypes = arguments
    except (OSError, AttributeError) as problem:
        raise ImportError(
            f"opiml: no usable libopiml.so ({problem}). Install the wheel, which has it inside, "
            "or name the library in OPIML_LIBRARY") from None
    return library


lib = _load()


def check(code, detail):
    """Raise the exception of a negative code; give the code back otherwise."""
    if code < 0:
        raise errors.make(code, lib.opiml_code_name(code).decode(),
                          detail.message.decode("utf-8", "replace"))
    return code
