"""Batches, passes, resuming, digests, worlds, map and errors, on tables of raw records."""
import json
import os
import pickle
import subprocess

from helper import ROWS, Case, bits, collect, numpy, opiml, unittest


class Batches(Case):
    def test_rows_are_the_records(self):
        path, records = self.rows(100)
        seen = []
        with opiml.Pipeline(path) as pipe:
            self.assertEqual((pipe.records, pipe.positions, pipe.batch_size), (100, 100, 16))
            self.assertEqual((len(pipe), pipe.batches_per_epoch), (7, 7))
            for number, batch in enumerate(pipe):
                self.assertEqual((batch.epoch, batch.index), (0, number))
                self.assertEqual(batch.first_position, number * 16)
                self.assertEqual(batch["x"].dtype, numpy.float32)
                self.assertEqual(batch["x"].shape, (batch.rows, 3))
                self.assertEqual(batch["label"].shape, (batch.rows,))
                numpy.testing.assert_array_equal(batch["x"], records["x"][batch["label"]])
                numpy.testing.assert_array_equal(batch.samples, batch["label"])
                self.assertTrue(batch.valid.all())
                self.assertEqual(batch.live, batch.rows)
                seen += batch["label"].tolist()
        self.assertEqual(len(seen), 100)
        self.assertNotEqual(seen, sorted(seen))
        self.assertEqual(sorted(seen), list(range(100)))

    def test_is_a_mapping(self):
        path, _ = self.rows()
        batch = next(iter(opiml.Pipeline(path)))
        self.assertEqual(list(batch), ["x", "label"])
        self.assertEqual(len(batch), 2)
        self.assertIn("x", batch)
        self.assertNotIn("y", batch)
        self.assertIs(batch["x"], batch["x"])
        self.assertEqual(set(dict(batch)), {"x", "label"})
        self.assertIn("f32 (16, 3)", repr(batch))
        with self.assertRaisesRegex(KeyError, "x, label"):
            batch["y"]

    def test_schema(self):
        path, _ = self.rows()
        pipe = opiml.Pipeline(path)
        self.assertEqual(pipe.schema["x"], opiml.Field("x", "f32", (3,)))
        self.assertEqual(pipe.schema["label"], ("label", "i32", ()))
        self.assertEqual(pipe.classes, [])
        self.assertIn("100 records", repr(pipe))

    def test_every_dtype(self):
        kinds = {"u8": "u1", "i8": "i1", "u16": "<u2", "i16": "<i2", "i32": "<i4", "i64": "<i8",
                 "f16": "<f2", "bf16": "<u2", "f32": "<f4", "f64": "<f8"}
        records = numpy.zeros(6, [(name, kind, (2, 3)) for name, kind in kinds.items()])
        raw = numpy.random.default_rng(0).integers(0, 120, len(records.tobytes()), "u1")
        records = numpy.frombuffer(raw.tobytes(), records.dtype)
        self.write("all.bin", records.tobytes())
        fields = ", ".join(f'"{name}:{name}:2x3"' for name in kinds)
        pipe = opiml.Pipeline.parse(
            "opiml: 1\nkind: pipeline\n"
            f"dataset: {{uri: all.bin, format: raw, fields: [{fields}]}}\nbatch: {{size: 6}}\n",
            name=self.path("all.yaml"))
        batch = next(iter(pipe))
        for name, kind in kinds.items():
            self.assertEqual(batch[name].dtype, numpy.dtype(kind))
            self.assertEqual(batch[name].tobytes(), records[name].tobytes(), name)

    def test_drop_last(self):
        path, _ = self.rows(100, ROWS.replace("{size: 16}", "{size: 16, drop_last: true}"))
        pipe = opiml.Pipeline(path)
        self.assertEqual(len(pipe), 6)
        self.assertEqual([batch.rows for batch in pipe], [16] * 6)

    def test_path_objects(self):
        import pathlib
        path, _ = self.rows()
        self.assertEqual(len(list(opiml.Pipeline(pathlib.Path(path), copy=True))), 7)


class Passes(Case):
    def test_each_pass_is_the_next_epoch(self):
        path, _ = self.rows()
        whole = collect(opiml.Pipeline(path, epochs=3))
        self.assertEqual(len(whole), 21)
        pipe, parts = opiml.Pipeline(path), []
        for epoch in range(3):
            self.assertEqual(pipe.epoch, epoch)
            parts += collect(pipe)
        self.assertEqual(bits(parts), bits(whole))
        orders = [numpy.concatenate([arrays["label"] for at, _, arrays in whole if at == epoch])
                  for epoch in range(3)]
        self.assertFalse((orders[0] == orders[1]).all())

    def test_a_pass_left_early_is_gone_on_with(self):
        path, _ = self.rows()
        whole = collect(opiml.Pipeline(path))
        pipe, parts = opiml.Pipeline(path), []
        for batch in pipe:
            parts.append((batch.epoch, batch.index, batch.copy()))
            if len(parts) == 3:
                break
        parts += collect(pipe)
        self.assertEqual(bits(parts), bits(whole))

    def test_without_end(self):
        path, _ = self.rows(20)
        pipe = opiml.Pipeline(path, epochs=0)
        with self.assertRaisesRegex(TypeError, "without end"):
            len(pipe)
        seen = 0
        for batch in pipe:
            seen += 1
            if seen == 50:
                break
        self.assertEqual((batch.epoch, batch.index), (24, 1))

    def test_a_second_pass_ends_the_first(self):
        path, _ = self.rows()
        pipe = opiml.Pipeline(path)
        first = iter(pipe)
        next(first)
        second = iter(pipe)
        self.assertEqual(next(second).index, 1)
        with self.assertRaisesRegex(opiml.CanceledError, "another pass"):
            next(first)

    def test_the_end_stays_the_end(self):
        path, _ = self.rows(10)
        iterator = iter(opiml.Pipeline(path))
        self.assertEqual(next(iterator).rows, 10)
        for _ in range(3):
            self.assertIsNone(next(iterator, None))

    def test_close(self):
        path, _ = self.rows()
        pipe = opiml.Pipeline(path)
        iterator = iter(pipe)
        next(iterator)
        pipe.close()
        pipe.close()
        with self.assertRaisesRegex(opiml.CanceledError, "closed"):
            next(iterator)
        with self.assertRaisesRegex(opiml.CanceledError, "closed"):
            iter(pipe)
        self.assertEqual(pipe.stats()["batches"], 1)


class Resume(Case):
    def test_from_every_batch(self):
        path, _ = self.rows()
        pipe = opiml.Pipeline(path, epochs=2, digest=True)
        states, whole = [pipe.state_dict()], []
        for batch in pipe:
            whole.append((batch.epoch, batch.index, batch.copy()))
            states.append(pipe.state_dict())
            self.assertEqual(states[-1]["token"], batch.token)
        digest = pipe.stats()["digest"]
        for number, state in enumerate(states[:-1]):
            state = json.loads(json.dumps(state))
            fresh = opiml.Pipeline(path, epochs=2, digest=True)
            fresh.load_state_dict(state)
            self.assertEqual(bits(collect(fresh)), bits(whole[number:]))
            self.assertEqual(fresh.stats()["digest"], digest)
            if state["token"]:
                other = opiml.Pipeline(path, epochs=2, threads=3, resume=state["token"])
                self.assertEqual(bits(collect(other)), bits(whole[number:]))

    def test_counts_epochs_from_the_one_that_it_is_in(self):
        path, _ = self.rows()
        pipe = opiml.Pipeline(path, epochs=0)
        for batch in pipe:
            if (batch.epoch, batch.index) == (4, 2):
                break
        resumed = opiml.Pipeline(path, resume=batch.token)
        self.assertEqual(resumed.epoch, 4)
        self.assertEqual([(batch.epoch, batch.index) for batch in resumed],
                         [(4, 3), (4, 4), (4, 5), (4, 6)])
        self.assertEqual(resumed.epoch, 5)

    def test_going_back(self):
        path, _ = self.rows()
        pipe = opiml.Pipeline(path)
        start = pipe.state_dict()
        first = collect(pipe)
        pipe.load_state_dict(start)
        self.assertEqual(bits(collect(pipe)), bits(first))

    def test_tokens_that_do_not_fit(self):
        path, records = self.rows()
        token = next(iter(opiml.Pipeline(path))).token
        with self.assertRaisesRegex(opiml.InvalidError, "not a resume token"):
            iter(opiml.Pipeline(path, resume="opiml1-0"))
        broken = token[:20] + ("0" if token[20] != "0" else "1") + token[21:]
        with self.assertRaises(opiml.CorruptError):
            iter(opiml.Pipeline(path, resume=broken))
        other = self.write("other.yaml", ROWS.replace("seed: 11", "seed: 12"))
        with self.assertRaisesRegex(opiml.InvalidError, "another pipeline"):
            iter(opiml.Pipeline(other, resume=token))
        self.write("rows.bin", records[:-1].tobytes())
        with self.assertRaises(opiml.Error):
            iter(opiml.Pipeline(path, resume=token))


class Digests(Case):
    def digest(self, path, **options):
        pipe = opiml.Pipeline(path, epochs=2, digest=True, **options)
        for _ in pipe:
            pass
        return int(pipe.stats()["digest"], 16)

    def test_threads_and_worlds(self):
        path, _ = self.rows(103)
        one = self.digest(path, threads=1)
        self.assertEqual(self.digest(path, threads=2), one)
        self.assertEqual(self.digest(path, threads=8), one)
        for world in (2, 3, 4):
            parts = sum(self.digest(path, rank=rank, world=world) for rank in range(world))
            self.assertEqual(parts % (1 << 128), one)
        other = self.write("other.yaml", ROWS.replace("seed: 11", "seed: 12"))
        self.assertNotEqual(self.digest(other), one)

    def test_ranks_take_slices_of_a_batch(self):
        path, _ = self.rows(103)
        whole = [batch["label"].tolist() for batch in opiml.Pipeline(path)]
        ranks = [[batch["label"].tolist() for batch in opiml.Pipeline(path, rank=r, world=4)]
                 for r in range(4)]
        self.assertEqual([sum(parts, []) for parts in zip(*ranks)], whole)

    def test_not_asked_for(self):
        path, _ = self.rows()
        pipe = opiml.Pipeline(path)
        self.assertIsNone(pipe.stats())
        collect(pipe)
        self.assertIsNone(pipe.stats()["digest"])

    @unittest.skipUnless(os.environ.get("OPIML"), "OPIML does not name the program")
    def test_the_program_says_the_same(self):
        path, _ = self.rows(103)
        reply = subprocess.run([os.environ["OPIML"], "feed", path, "--epochs", "2", "--digest",
                                "--json"], check=True, stdout=subprocess.PIPE)
        pipe = opiml.Pipeline(path, epochs=2, digest=True)
        collect(pipe)
        report, stats = json.loads(reply.stdout), pipe.stats()
        self.assertEqual(report["digest"], stats["digest"])
        self.assertEqual(report["resume"], stats["token"])
        for name in ("samples", "batches", "bytes_delivered"):
            self.assertEqual(report[name], stats[name])


class Map(Case):
    def test_is_the_last_station(self):
        path, records = self.rows()
        pipe = opiml.Pipeline(path, map=lambda batch: (batch["x"] * 2, batch["label"]))
        for doubled, label in pipe:
            numpy.testing.assert_array_equal(doubled, records["x"][label] * 2)
        self.assertEqual(len(list(opiml.Pipeline(path, map=len))), 7)

    def test_an_exception_is_the_callers(self):
        path, _ = self.rows()

        def picky(batch):
            if batch.index == 2:
                raise ZeroDivisionError("batch 2")
            return batch.index

        pipe, seen = opiml.Pipeline(path, map=picky), []
        with self.assertRaisesRegex(ZeroDivisionError, "batch 2"):
            for index in pipe:
                seen.append(index)
        self.assertEqual(seen, [0, 1])
        # Not delivered, so it comes again.
        with self.assertRaises(ZeroDivisionError):
            next(iter(pipe))


class Stats(Case):
    def test_counters(self):
        path, _ = self.rows()
        pipe = opiml.Pipeline(path)
        collect(pipe)
        stats = pipe.stats()
        self.assertEqual((stats["samples"], stats["errors"], stats["dropped"]), (100, 0, 0))
        self.assertEqual(stats["batches"], 7)
        self.assertEqual(stats["bytes_delivered"], 100 * 16)
        self.assertGreater(stats["elapsed_ns"], 0)
        self.assertEqual(stats["bad"], [])
        self.assertEqual(stats["token"], pipe.state_dict()["token"])
        stations = {station["name"]: station for station in stats["stations"]}
        self.assertEqual(stations["deliver"]["rows"], 100)
        self.assertIn(stats["bottleneck"], [None, *stations])

    def test_holes(self):
        path, records = self.rows(60, ROWS.replace(
            "batch:", "ops: [filter: {where: label < 20}]\nbatch:"))
        pipe, kept = opiml.Pipeline(path), []
        for batch in pipe:
            holes = ~batch.valid
            self.assertEqual(batch.live, batch.valid.sum())
            self.assertTrue((batch.status[holes] == opiml.ROW_DROPPED).all())
            self.assertTrue((batch["x"][holes] == 0).all())
            kept += batch["label"][batch.valid].tolist()
        self.assertEqual(sorted(kept), list(range(20)))
        self.assertEqual(pipe.stats()["dropped"], 40)


class Errors(Case):
    def test_a_missing_file(self):
        with self.assertRaisesRegex(opiml.NotFoundError, "nowhere.yaml") as caught:
            opiml.Pipeline(self.path("nowhere.yaml"))
        self.assertEqual(caught.exception.name, "ENOENT")
        self.assertLess(caught.exception.code, 0)
        self.assertIsInstance(caught.exception, opiml.Error)
        self.assertIsInstance(caught.exception, FileNotFoundError)

    def test_missing_data(self):
        path = self.write("rows.yaml", ROWS)
        with self.assertRaisesRegex(FileNotFoundError, "rows.bin"):
            opiml.Pipeline(path)

    def test_a_mistake_in_the_file(self):
        path, _ = self.rows(10, ROWS.replace("shuffle: {mode", "shuffle: {mod"))
        with self.assertRaisesRegex(ValueError, r'rows\.yaml:7:11: .*did you mean "mode"'):
            opiml.Pipeline(path)

    def test_ranks(self):
        path, _ = self.rows()
        for rank, world in ((1, 1), (0, 0), (0, 17)):
            with self.assertRaises(opiml.InvalidError):
                iter(opiml.Pipeline(path, rank=rank, world=world))
        for name in ("epochs", "threads", "rank", "world"):
            for value in (-1, 1 << 32):
                with self.assertRaisesRegex(opiml.InvalidError, name):
                    opiml.Pipeline(path, **{name: value})
            with self.assertRaisesRegex(TypeError, f"{name}: a whole number is wanted, not '1'"):
                opiml.Pipeline(path, **{name: "1"})

    def test_more_threads_than_there_may_be(self):
        path, _ = self.rows()
        with self.assertRaisesRegex(ValueError, "^threads: 5000 is not between 0 and 1024$"):
            opiml.Pipeline(path, threads=5000)

    def test_arguments_of_another_kind(self):
        path, _ = self.rows()
        with self.assertRaisesRegex(TypeError, "map: a callable is wanted, not 3"):
            opiml.Pipeline(path, map=3)
        pipe = opiml.Pipeline(path)
        with self.assertRaisesRegex(TypeError, "resume: a token is wanted"):
            opiml.Pipeline(path, resume=pipe.state_dict())
        with self.assertRaisesRegex(TypeError, "a token is wanted"):
            pipe.load_state_dict({"token": 7})
        with self.assertRaisesRegex(TypeError, "text: a str is wanted"):
            opiml.Pipeline.parse(ROWS.encode())

    def test_a_pool_that_is_too_small(self):
        path, _ = self.rows(10, ROWS.replace("16MiB", "10KiB"))
        with self.assertRaisesRegex(opiml.LimitError, "pool"):
            iter(opiml.Pipeline(path))

    def test_survive_pickling(self):
        with self.assertRaises(opiml.Error) as caught:
            opiml.Pipeline(self.path("nowhere.yaml"))
        again = pickle.loads(pickle.dumps(caught.exception))
        self.assertIs(type(again), opiml.NotFoundError)
        self.assertEqual((str(again), again.code, again.name),
                         (str(caught.exception), caught.exception.code, "ENOENT"))

    def test_unknown_options(self):
        with self.assertRaises(TypeError):
            opiml.Pipeline.parse(ROWS, name=self.path("x.yaml"), thread=1)

    @unittest.skipUnless(os.environ.get("OPIML_VERSION"), "OPIML_VERSION is not set")
    def test_version(self):
        self.assertEqual(opiml.version(), os.environ["OPIML_VERSION"])
        self.assertEqual(opiml.__version__, opiml.version())


if __name__ == "__main__":
    unittest.main()
