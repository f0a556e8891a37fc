"""Pipeline: a pipeline file, to be iterated."""
import ctypes
import operator
import os
import re
import weakref

from opiml import errors, feed
from opiml.batch import Batch, fields_of
from opiml.native import ErrorDetail, check, lib


class _Handle:
    """struct opiml_pipeline; feeds hold it too."""

    def __init__(self, pointer):
        self.pointer = pointer
        # When Python ends the system takes everything back, and a feed may still be using this.
        weakref.finalize(self, lib.opiml_pipeline_close, pointer).atexit = False


class _Text:
    """A pipeline file that is no file."""

    def __init__(self, text, name):
        if not isinstance(text, str):
            raise TypeError(f"text: a str is wanted, not {text!r:.60}")
        self.data = text.encode()
        self.name = name


def _open(path, join):
    pointer, detail = ctypes.c_void_p(), ErrorDetail()
    if isinstance(path, _Text):
        code = lib.opiml_pipeline_parse(path.data, len(path.data), os.fsencode(path.name),
                                        ctypes.byref(pointer), ctypes.byref(detail))
    elif join is not None:
        code = lib.opiml_pipeline_open_joined(os.fsencode(path), join, ctypes.byref(pointer),
                                              ctypes.byref(detail))
    else:
        code = lib.opiml_pipeline_open(os.fsencode(path), ctypes.byref(pointer),
                                       ctypes.byref(detail))
    check(code, detail)
    return _Handle(pointer)


_THREADS_MOST = 1024  # as in a pipeline file


def _count(name, value, most=(1 << 32) - 1):
    """A number that fits the library's."""
    try:
        value = operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: a whole number is wanted, not {value!r:.60}") from None
    if not 0 <= value <= most:
        raise errors.InvalidError(f"{name}: {value} is not between 0 and {most}", name="EINVAL")
    return value


def callable_or_none(name, value):
    if value is not None and not callable(value):
        raise TypeError(f"{name}: a callable is wanted, not {value!r:.60}")
    return value


def _token(name, value):
    """A resume token; what is in it the library checks."""
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{name}: a token is wanted, a str such as state_dict()[\"token\"], not "
                        f"{value!r:.60}")
    return value


def _name(name, value):
    """A text for the library, or nothing."""
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{name}: a str is wanted, not {value!r:.60}")
    return value.encode() if value is not None else None


def _epoch_of(token):
    """The epoch in which a resume token goes on: the fourth of its numbers."""
    found = re.fullmatch(r"opiml1-[0-9a-f]{48}([0-9a-f]{16})[0-9a-f]{64}", token or "")
    return int(found.group(1), 16) if found else 0


class _Pass:
    """One `for` over a pipeline."""

    def __init__(self, pipeline, running):
        self.pipeline = pipeline
        self.running = running  # None: ended

    def __iter__(self):
        return self

    def __next__(self):
        slot = self.running.next() if self.running else None
        if slot is None:
            self.pipeline._end(self)
            self.running = None
            raise StopIteration
        return self.pipeline._deliver(self, slot)


class Pipeline:
    """The batches of a pipeline file.

    Each `for` is one pass: the epochs that `epochs` says, 1 by default, 0 for no end. A pass begins
    where the one before it stopped, so the next `for` has the next epoch's order, and one that was
    left early is gone on with.

    path     the pipeline file (docs/pipeline-file.md)
    epochs   epochs of a pass; 0: without end
    threads  compute threads; 0: as the file says, or one per usable core
    rank     this process among `world`: it gets its slice of every batch
    world    processes that share every batch
    resume   a resume token: go on behind the batch that carried it
    digest   sum the digest of what is delivered: stats()["digest"]
    map      a callable, the pipeline's last station: is given each Batch; what it returns is
             delivered instead
    copy     deliver copies, which may be kept without end
    join     the name of a feed that `opiml feed --serve` makes on this machine, once for all of its
             processes: take the batches from there

    Opening reads and checks the file and loads or builds the dataset's index. Reading data begins
    with the first `for`. One thread at a time may iterate; any thread may ask for stats() or close.
    """

    def __init__(self, path, epochs=1, threads=0, rank=0, world=1, resume=None, digest=False,
                 map=None, copy=False, join=None):
        self._pass = self._last = None  # a pass under way, counters of the last one
        self._closed = False
        self._path = path.name if isinstance(path, _Text) else os.fspath(path)
        self._epochs = _count("epochs", epochs)
        self._token = _token("resume", resume)
        self._options = dict(threads=_count("threads", threads, _THREADS_MOST),
                             rank=_count("rank", rank), world=_count("world", world),
                             digest=bool(digest), join=_name("join", join))
        self._map = callable_or_none("map", map)
        self._copy = copy
        caller = feed.Caller()
        try:
            self._handle = caller.call(lambda: _open(path, self._options["join"]))
        finally:
            caller.requests.put(None)
        pointer = self._handle.pointer
        self.schema = fields_of(lib.opiml_pipeline_schema(pointer).contents)
        self.records = lib.opiml_pipeline_records(pointer)
        self.positions = lib.opiml_pipeline_positions(pointer)
        self.batch_size = lib.opiml_pipeline_batch_rows(pointer)
        self.batches_per_epoch = lib.opiml_pipeline_batches(pointer)
        self.classes = []
        while (name := lib.opiml_pipeline_class(pointer, len(self.classes))) is not None:
            self.classes.append(name.decode("utf-8", "replace"))

    @classmethod
    def parse(cls, text, name="text", **options):
        """A pipeline from YAML text. `name` stands for the file: in messages, and relative paths
        in the text count from its folder. `options` as for Pipeline()."""
        return cls(_Text(text, name), **options)

    def __iter__(self):
        if self._closed:
            raise errors.CanceledError("the pipeline was closed", name="ECANCELED")
        self._stop("another pass over the pipeline was begun")
        # The library counts epochs from the first one; a pass ends at a multiple of its epochs.
        until = (self.epoch // self._epochs + 1) * self._epochs if self._epochs else 0
        token = self._token.encode() if self._token else None
        running = feed.Feed(self._handle, feed.options(epochs=until, resume=token,
                                                       **self._options))
        self._pass = _Pass(self, running)
        return self._pass

    def _deliver(self, which, slot):
        batch = Batch(slot, self.schema, self._copy)
        del slot
        token = batch.token
        item = batch if self._map is None else self._map(batch)
        if which is self._pass:
            self._token = token
        return item

    def _end(self, which):
        if which is self._pass:
            self._last = self.stats()
            self._pass = None

    def __len__(self):
        """Batches of a whole pass."""
        if not self._epochs:
            raise TypeError("a pipeline without end has no len()")
        return self._epochs * self.batches_per_epoch

    @property
    def epoch(self):
        """The epoch of the next batch, counted from 0."""
        return _epoch_of(self._token)

    def state_dict(self):
        """Where the pipeline stands: behind the last batch that was delivered."""
        return {"token": self._token}

    def load_state_dict(self, state):
        """Let the next `for` go on where state_dict() was taken."""
        if not isinstance(state, dict) or set(state) != {"token"}:
            raise TypeError("load_state_dict wants what state_dict gave: {'token': ...}")
        token = _token("load_state_dict", state["token"])
        self._stop("load_state_dict was called")
        self._token = token

    def stats(self):
        """Counters of the current or last pass; None before the first. Times are in nanoseconds."""
        current = self._pass
        running = current.running if current else None
        return running.stats(self._options["digest"]) if running else self._last

    def _stop(self, why):
        current = self._pass
        if current:
            current.running.cancel(why)
            self._end(current)

    def close(self):
        """End a pass that is under way. Arrays that were delivered stay as they are."""
        self._closed = True
        self._stop("the pipeline was closed")

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        self.close()

    def __repr__(self):
        records = "record" if self.records == 1 else "records"
        batches = "batch" if self.batches_per_epoch == 1 else "batches"
        return (f"<opiml.Pipeline {self._path}: {self.records} {records}, {self.batches_per_epoch} "
                f"{batches} of {self.batch_size} an epoch>")
