"""opiml: machine-learning input pipelines that give the same batches on every machine.

    import opiml

    pipe = opiml.Pipeline("train.yaml")
    for batch in pipe:
        batch["image"], batch["label"]      # NumPy arrays, not copied

All work is done by the C library libopiml; this package makes its batches look like NumPy arrays.
docs/python.md describes it in full.
"""
from opiml.batch import ROW_DROPPED, ROW_FAILED, ROW_OK, Batch, Field
from opiml.errors import (AccessError, BudgetError, BusyError, CanceledError, CorruptError, Error,
                          InvalidError, LimitError, NotFoundError, OutOfMemoryError, StaleError,
                          StorageError)
from opiml.pipeline import Pipeline

__version__ = "0.1.0"

__all__ = [
    "AccessError", "Batch", "BudgetError", "BusyError", "CanceledError", "CorruptError", "Error",
    "Field", "InvalidError", "LimitError", "NotFoundError", "OutOfMemoryError", "Pipeline",
    "ROW_DROPPED", "ROW_FAILED", "ROW_OK", "StaleError", "StorageError", "version",
]


def version():
    """The package's version, such as "0.1.0"."""
    return __version__
