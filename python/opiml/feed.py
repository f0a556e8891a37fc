"""A running feed, and waiting for it in a way that Ctrl-C can end."""
import ctypes
import os
import queue
import threading
import weakref

from opiml import errors
from opiml.batch import Slot
from opiml.native import Batch, ErrorDetail, FeedOptions, FeedStats, check, lib


class _Request:
    """A call for a Caller's thread to make, once."""

    def __init__(self, function):
        self.function = function
        self.queued = False
        self.done = threading.Event()
        self.outcome = self.problem = None

    def run(self):
        function, self.function = self.function, None
        if function is None:
            return
        try:
            self.outcome = function()
        except BaseException as problem:
            self.problem = problem
        self.done.set()


def _serve(requests):
    while True:
        request = requests.get()
        if request is None:
            return
        request.run()
        del request  # while this thread waits it must keep nothing alive


class Caller:
    """Makes calls that may block for long. Python handles signals in its main thread, and only
    between its own instructions: there a call is left to a thread of ours, and the wait for that
    can be interrupted. An interrupted call goes on; the next one takes over what it brings."""

    def __init__(self):
        self.requests = queue.SimpleQueue()
        self.pending = None
        self.thread = threading.Thread(target=_serve, args=(self.requests,), daemon=True,
                                       name="opiml")
        self.thread.start()

    def call(self, function):
        request = self.pending
        if request is None:
            if threading.current_thread() is not threading.main_thread():
                return function()
            request = self.pending = _Request(function)
        if not request.queued:  # an interruption may come between any two of these lines
            self.requests.put(request)
            request.queued = True
        request.done.wait()
        self.pending = None
        if request.problem is not None:
            raise request.problem
        return request.outcome

    def stop(self):
        """End the thread, once the call that it may be in has returned."""
        self.requests.put(None)
        if self.thread is not threading.current_thread():
            self.thread.join()


_KEPT = []


def _close(pointer, process, held, caller, handle):
    """The end of a feed, at the latest when Python ends. `handle` (the pipeline) outlives it."""
    if os.getpid() != process:
        return  # a forked child has none of the feed's threads
    lib.opiml_feed_cancel(pointer)
    caller.stop()
    if not held:
        lib.opiml_feed_close(pointer)
    else:  # Python is ending, and arrays are still about: their feed and its pipeline stay
        _KEPT.append(handle)


def _take(pointer):
    """Wait for the next batch: a struct opiml_batch, or None at the end. It must not know the feed:
    what nobody fetches after an interruption would keep that alive."""
    batch, detail = ctypes.POINTER(Batch)(), ErrorDetail()
    if not check(lib.opiml_feed_next(pointer, ctypes.byref(batch), ctypes.byref(detail)), detail):
        return None
    return batch


class Feed:
    """struct opiml_feed. It lives as long as somebody holds it or one of its batches' arrays."""

    def __init__(self, handle, options):
        pointer, detail = ctypes.c_void_p(), ErrorDetail()
        check(lib.opiml_feed_open(handle.pointer, ctypes.byref(options), ctypes.byref(pointer),
                                  ctypes.byref(detail)), detail)
        self.held = {}  # ids of Slots that are out
        self.process = os.getpid()
        self.why = "the pipeline was closed"
        self.canceled = False
        self._pointer = pointer
        self._caller = Caller()
        self._lock = threading.Lock()
        weakref.finalize(self, _close, pointer, self.process, self.held, self._caller, handle)

    def next(self):
        """The next batch's Slot, None at the end. May be interrupted without losing a batch."""
        if os.getpid() != self.process:
            raise errors.Error("this pass was begun before a fork; begin one in the child process")
        with self._lock:
            pointer = self._pointer
            try:
                if self.canceled:
                    raise errors.CanceledError(self.why, name="ECANCELED")
                batch = self._caller.call(lambda: _take(pointer))
                return Slot(self, batch) if batch is not None else None
            except errors.CanceledError as problem:
                raise errors.CanceledError(self.why, problem.code, problem.name) from None
            except errors.BusyError as problem:
                raise errors.BusyError(
                    f"{problem}: arrays of {len(self.held)} batches are still in use. Copy what "
                    "you keep (batch.copy(), or Pipeline(..., copy=True)), or let go of it",
                    problem.code, problem.name) from None

    def cancel(self, why):
        """End a wait in another thread, and all later ones."""
        self.why = why
        self.canceled = True
        lib.opiml_feed_cancel(self._pointer)
        self._caller.pending = None  # and with it a batch that nobody fetched any more

    def stats(self, digest):
        found = FeedStats()
        lib.opiml_feed_stats(self._pointer, ctypes.byref(found))
        stats = {name: getattr(found, name) for name, kind in FeedStats._fields_
                 if kind is ctypes.c_uint64}
        stations = [{name: getattr(station, name) for name, _ in station._fields_}
                    for station in found.station[:found.stations]]
        for station in stations:
            station["name"] = station["name"].decode()
        stats["digest"] = f"{found.digest[1]:016x}{found.digest[0]:016x}" if digest else None
        stats["token"] = found.token.decode()
        stats["stations"] = stations
        stats["bottleneck"] = stations[found.bottleneck]["name"] if found.bottleneck >= 0 else None
        stats["bad"] = self._bad()
        return stats

    def _bad(self):
        lines = []
        while (line := lib.opiml_feed_bad(self._pointer, len(lines))) is not None:
            lines.append(line.decode("utf-8", "replace"))
        return lines


def options(**values):
    """struct opiml_feed_options with the library's defaults and these values."""
    made = FeedOptions()
    lib.opiml_feed_options_init(ctypes.byref(made))
    if made.size != ctypes.sizeof(FeedOptions):
        raise ImportError(f"opiml: libopiml.so has feed options of {made.size} bytes, this package "
                          f"of {ctypes.sizeof(FeedOptions)}: they are of different versions")
    for name, value in values.items():
        setattr(made, name, value)
    return made
