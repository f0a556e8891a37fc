"""Exceptions: one class per kind of error that a caller may want to tell apart."""


class Error(Exception):
    """Something that libopiml refused or could not do.

    code: the library's number, negative (include/opiml/error.h). name: its name, such as
    "ECORRUPT". The text says where it happened and, where there is one, the remedy.
    """

    def __init__(self, message, code=0, name=""):
        super().__init__(message)
        self.code = code
        self.name = name

    def __reduce__(self):
        return type(self), (str(self), self.code, self.name)

    def __str__(self):
        return self.args[0]


class InvalidError(Error, ValueError):
    """An argument or a file's content that makes no sense (EINVAL)."""


class NotFoundError(Error, FileNotFoundError):
    """A file or folder that is not there (ENOENT)."""


class AccessError(Error, PermissionError):
    """A file that may not be read (EACCES)."""


class StorageError(Error, OSError):
    """Reading or writing failed, or there is no space left (EIO, ENOSPC)."""


class CorruptError(Error, ValueError):
    """Damaged data (ECORRUPT)."""


class StaleError(Error):
    """Data that changed since it was indexed, or since a resume token was written (ESTALE)."""


class BudgetError(Error):
    """More bad records than errors.budget of the pipeline file allows (EBUDGET)."""


class OutOfMemoryError(Error, MemoryError):
    """The system gave no memory (ENOMEM)."""


class LimitError(Error):
    """Over a stated limit, such as the pipeline's pool (ELIMIT)."""


class BusyError(Error):
    """Every batch of the pool is still in use (EBUSY)."""


class CanceledError(Error):
    """The pipeline was closed, or another pass over it was begun (ECANCELED)."""


_CLASSES = {
    "EINVAL": InvalidError, "ENOENT": NotFoundError, "EACCES": AccessError, "EIO": StorageError,
    "ENOSPC": StorageError, "ECORRUPT": CorruptError, "ESTALE": StaleError,
    "EBUDGET": BudgetError, "ENOMEM": OutOfMemoryError, "ELIMIT": LimitError, "EBUSY": BusyError,
    "ECANCELED": CanceledError,
}


def make(code, name, message):
    """The exception for an error of the library."""
    return _CLASSES.get(name, Error)(message, code, name)
