"""Whose memory it is: arrays without a copy, that never show another batch's rows; threads, forks,
interruptions and the end of the process."""
import gc
import os
import signal
import threading
import time

from opiml import feed

from helper import ROWS, Case, bits, collect, numpy, opiml, picture, unittest


def tasks():
    return len(os.listdir("/proc/self/task"))


def tasks_above(before):
    """How many more threads there are than before, once those that were joined are off the list:
    the kernel keeps them there for a moment."""
    deadline = time.monotonic() + 5
    while tasks() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    return max(0, tasks() - before)


class Lifetime(Case):
    def test_no_copy(self):
        path, _ = self.rows()
        batch = next(iter(opiml.Pipeline(path)))
        array = batch["x"]
        self.assertFalse(array.flags.owndata)
        self.assertTrue(array.flags.writeable)
        self.assertIs(batch["x"], array)

    def test_arrays_outlive_everything(self):
        path, records = self.rows()
        pipe = opiml.Pipeline(path)
        batch = next(iter(pipe))
        x, label, view = batch["x"], batch["label"], batch["x"][3:5, ::2]
        del batch
        pipe.close()
        del pipe
        gc.collect()
        numpy.testing.assert_array_equal(x, records["x"][label])
        del x
        gc.collect()
        numpy.testing.assert_array_equal(view, records["x"][label[3:5]][:, ::2])

    def test_a_held_batch_stays_as_it_is(self):
        path, _ = self.rows(64 * 16)
        held, before = None, None
        for batch in opiml.Pipeline(path):
            if held is not None:
                self.assertEqual(held.tobytes(), before)
            if batch.index % 2 == 0:
                held = batch["x"][:, 1]
                before = held.tobytes()

    def test_memory_is_used_again(self):
        path, _ = self.rows(64 * 16)
        places = {batch["x"].ctypes.data for batch in opiml.Pipeline(path)}
        self.assertLess(len(places), 40)

    def test_holding_everything_is_refused_until_something_is_let_go(self):
        path, _ = self.rows(400 * 16, ROWS.replace("16MiB", "2MiB"))
        pipe, held = opiml.Pipeline(path), []
        iterator = iter(pipe)
        with self.assertRaisesRegex(opiml.BusyError, r"copy=True") as caught:
            while True:
                held.append(next(iterator)["x"])
        self.assertGreater(len(held), 1)
        self.assertIn(f"{len(held)} batches", str(caught.exception))
        count = len(held)
        held.pop(0)
        self.assertEqual(next(iterator).index, count)
        del held
        self.assertEqual(sum(1 for _ in iterator), 400 - count - 1)

    def test_copy(self):
        path, _ = self.rows(400 * 16, ROWS.replace("16MiB", "2MiB"))
        batches = list(opiml.Pipeline(path, copy=True))
        self.assertEqual(len(batches), 400)
        self.assertTrue(batches[0]["x"].flags.owndata)
        self.assertEqual(bits((b.epoch, b.index, b.copy()) for b in batches),
                         bits(collect(opiml.Pipeline(path))))

    def test_release(self):
        path, records = self.rows()
        pipe = opiml.Pipeline(path)
        for batch in pipe:
            with batch:
                x, label = batch["x"], batch["label"]
            with self.assertRaisesRegex(ValueError, "released"):
                batch["x"]
            batch.release()
            numpy.testing.assert_array_equal(x, records["x"][label])
            self.assertEqual(len(batch.status), batch.rows)

    def test_threads_end_with_the_pass(self):
        path, _ = self.rows()
        collect(opiml.Pipeline(path, threads=4))
        gc.collect()
        before = tasks()
        for _ in range(30):
            for batch in opiml.Pipeline(path, threads=4):
                break
        del batch
        gc.collect()
        self.assertEqual(tasks_above(before), 0)


# One batch takes many seconds: every row is made large, and small again.
SLOW = """
opiml: 1
kind: pipeline
pool: 512MiB
threads: 1
dataset: {uri: pixels.bin, format: raw, fields: ["image:u8:4x4x3"]}
ops:
  - resize: {size: [1500, 1500]}
  - center_crop: {size: 4}
batch: {size: 4096}
"""


class Threads(Case):
    def slow(self):
        self.write("pixels.bin", bytes(4096 * 48))
        return self.write("slow.yaml", SLOW)

    def test_iterating_beside_the_main_thread(self):
        path, _ = self.rows()
        found = []
        thread = threading.Thread(target=lambda: found.extend(collect(opiml.Pipeline(path))))
        thread.start()
        thread.join()
        self.assertEqual(bits(found), bits(collect(opiml.Pipeline(path))))

    def test_close_ends_a_wait(self):
        pipe, ended = opiml.Pipeline(self.slow()), []

        def wait():
            try:
                next(iter(pipe))
            except opiml.CanceledError as problem:
                ended.append(str(problem))

        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(0.3)
        self.assertEqual(pipe.stats()["batches"], 0)
        pipe.close()
        thread.join(10)
        self.assertEqual(ended, ["the pipeline was closed"])

    def test_ctrl_c_ends_a_wait(self):
        reply = self.python("""
            import os, signal, sys, threading, time, opiml
            pipe = opiml.Pipeline(sys.argv[1])
            threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
            began = time.monotonic()
            try:
                for batch in pipe:
                    print("a batch")
            except KeyboardInterrupt:
                print("interrupted" if time.monotonic() - began < 3 else "late")
            """, self.slow())
        self.assertEqual((reply.stdout, reply.stderr, reply.returncode), ("interrupted\n", "", 0))

    def test_ctrl_c_without_a_handler(self):
        reply = self.python("""
            import os, signal, sys, threading, opiml
            threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
            for batch in opiml.Pipeline(sys.argv[1]):
                pass
            """, self.slow())
        self.assertEqual(reply.returncode, -signal.SIGINT)
        self.assertIn("KeyboardInterrupt", reply.stderr)

    def test_an_interruption_loses_no_batch(self):
        pixels = picture(4, 4, 0)
        self.write("pixels.bin", b"".join((pixels + i).tobytes() for i in range(96)))
        path = self.write("slow.yaml", SLOW.replace("1500, 1500", "1200, 1200").replace(
            "size: 4096", "size: 8").replace("512MiB", "64MiB"))
        whole = collect(opiml.Pipeline(path))

        class Interruption(Exception):
            pass

        def soon():
            # Once, and again when that was dealt with: a second one may meet the first on its way.
            signal.setitimer(signal.ITIMER_REAL, 2e-3)

        def interrupt(number, frame):
            # Only while it waits: with other lines, Python itself may lose what they returned, or
            # give back a lock that it has not taken again.
            if frame.f_code is threading.Condition.wait.__code__:
                raise Interruption
            soon()

        seen, interrupted = [], 0
        iterator = iter(opiml.Pipeline(path))
        before = signal.signal(signal.SIGALRM, interrupt)
        soon()
        try:
            while True:
                try:
                    batch = next(iterator, None)
                except Interruption:
                    interrupted += 1
                    soon()
                    continue
                if batch is None:
                    break
                seen.append((batch.epoch, batch.index, batch.copy()))
                del batch
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        self.assertGreater(interrupted, 10)
        self.assertEqual(bits(seen), bits(whole))


class Processes(Case):
    def test_python_may_end_with_arrays_about(self):
        path, _ = self.rows()
        for keep in ("pipe", "iterator", "batch", "batch['x']", "pipe, iterator, batch['x'][1:]"):
            reply = self.python(f"""
                import sys, opiml
                pipe = opiml.Pipeline(sys.argv[1])
                iterator = iter(pipe)
                batch = next(iterator)
                kept = [{keep}]
                """, path)
            self.assertEqual((reply.stderr, reply.returncode), ("", 0), keep)
        reply = self.python("""
            import sys, opiml
            for batch in opiml.Pipeline(sys.argv[1]):
                pass
            """, path)
        self.assertEqual((reply.stderr, reply.returncode), ("", 0))

    def test_what_nobody_fetched_keeps_nothing_alive(self):
        path, _ = self.rows(64 * 16)
        before = tasks()
        pipe = opiml.Pipeline(path)
        iterator = iter(pipe)
        next(iterator)
        running = iterator.running
        pointer = running._pointer
        # As an interrupted wait leaves it: the call went on, and its batch was never fetched.
        request = running._caller.pending = feed._Request(lambda: feed._take(pointer))
        running._caller.requests.put(request)
        request.done.wait()
        self.assertGreater(tasks(), before)
        del pipe, iterator, running, request
        gc.collect()
        self.assertEqual(tasks_above(before), 0)

    def test_a_forked_child(self):
        path, _ = self.rows()
        reply = self.python("""
            import os, sys, warnings, opiml
            warnings.simplefilter("ignore", DeprecationWarning)  # forks of threads are, since Python 3.12
            pipe = opiml.Pipeline(sys.argv[1])
            iterator = iter(pipe)
            batch = next(iterator)
            child = os.fork()
            if child == 0:
                try:
                    next(iterator)
                except opiml.Error as problem:
                    print(problem)
                print([batch.index for batch in pipe])
                del batch
                sys.stdout.flush()
                sys.exit(0)
            print(os.waitpid(child, 0)[1], [batch.index for batch in iterator])
            """, path)
        self.assertEqual((reply.stderr, reply.returncode), ("", 0))
        self.assertEqual(reply.stdout.splitlines(), [
            "this pass was begun before a fork; begin one in the child process",
            "[1, 2, 3, 4, 5, 6]", "0 [1, 2, 3, 4, 5, 6]"])

    def test_a_library_that_is_not_there(self):
        reply = self.python("import opiml", env={**os.environ, "OPIML_LIBRARY": "/nowhere.so"})
        self.assertEqual(reply.returncode, 1)
        self.assertIn("ImportError: opiml: no usable libopiml.so", reply.stderr)
        self.assertIn("OPIML_LIBRARY", reply.stderr)


if __name__ == "__main__":
    unittest.main()
