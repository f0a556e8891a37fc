"""Tables of databases as data sets: the same records as from files, whatever happens to the database."""
import json
import os
import sqlite3
import subprocess
import time

from database import Proxy, Server, needs_postgres
from helper import Case, collect, numpy, opiml, unittest

PIPELINE = """
opiml: 1
kind: pipeline
seed: 11
pool: 16MiB
dataset: {%s}
shuffle: {mode: %s}
ops:
%s
batch: {size: 64}
errors: {budget: %s}
"""
TYPES = 'types: ["amount:f32"]'
COLUMNS = "id bigint PRIMARY KEY, amount float8, city int, kind text, fraud bool, note text"


def payments(count, seed=4):
    """Rows with gaps between their keys, and NULLs in `amount` and `note`."""
    random = numpy.random.default_rng(seed)
    kinds = ["card", "wire", "it's \"new\"", ""]
    return [(int(i) * 3 - 50, None if i % 17 == 0 else round(float(random.normal(60, 25)), 3),
             int(random.integers(0, 30)), kinds[int(random.integers(0, 4))], int(random.integers(0, 2)),
             None if i % 5 == 0 else "n" * int(random.integers(0, 40))) for i in range(count)]


class Databases(Case):
    """What is the same for both; a subclass says where."""
    rows = payments(3000)

    def write_csv(self, rows, name="rows.csv"):
        import csv
        path = self.path(name)
        with open(path, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "amount", "city", "kind", "fraud", "note"])
            writer.writerows(rows)
        return path

    def pipeline(self, dataset, ops="  - select: {fields: [id, amount, city, fraud]}", mode="global", budget=0,
                 name="p.yaml"):
        return self.write(name, PIPELINE % (dataset, mode, ops, budget))

    def feed(self, dataset, *arguments, ops="  - select: {fields: [id, amount, city, fraud]}", mode="global",
             budget=0, status=0, **options):
        self.pipeline(dataset, ops, mode, budget)
        process = self.run_opiml("feed", "p.yaml", "--digest", "--json", *arguments, **options)
        self.assertEqual(process.returncode, status, process.stderr)
        return json.loads(process.stdout) if status == 0 else process.stderr

    def table(self, more=""):
        return "uri: '%s', table: payments%s" % (self.uri, more)


class Common:
    """Run for each database."""

    def test_same_as_csv(self):
        self.write_csv(self.rows)
        for mode in "none", "global", "block":
            for ops in ("  - select: {fields: [id, amount, city]}",
                        "  - filter: {where: \"amount > 70 and not kind == 'card'\"}\n"
                        "  - select: {fields: [amount, id, fraud]}",
                        "  - filter: {where: \"not (amount <= 70 or city in [1, 2, 3]) and note != ''\"}\n"
                        "  - filter: {where: \"kind != `kind` or city < 20\"}\n"
                        "  - select: {fields: [id]}",
                        "  - filter: {where: \"not amount >= 70.5\"}\n  - select: {fields: [id, amount]}",
                        "  - filter: {where: \"amount != 1 and note == ''\"}\n  - select: {fields: [id]}"):
                table = self.feed(self.table(), ops=ops, mode=mode)
                file = self.feed("uri: rows.csv, format: csv", ops=ops, mode=mode)
                self.assertEqual((table["digest"], table["samples"], table["dropped"]),
                                 (file["digest"], file["samples"], file["dropped"]), ops)
        self.assertLess(table["bytes_read"], file["bytes_read"] / 2)

    def test_samples_are_those_of_the_file(self):
        self.write_csv(self.rows)
        select = "  - select: {fields: [id, amount, city]}"
        whole = self.feed(self.table(), ops=select)
        for choice, records in (("  - sample: {fraction: 0.1, seed: 3}", 300),
                                ("  - sample: {fraction: 0.1, per_epoch: true}", 300),
                                ("  - take: {count: 100, from: 40}", 100),
                                ("  - take: {count: 1000}\n  - sample: {fraction: 0.05, others: true}", 950)):
            for head in "", "\n  - filter: {where: \"amount > 60 or city < 4\"}":
                for mode in "none", "global":
                    ops = choice + head + "\n" + select
                    table = self.feed(self.table(), "--epochs", "2", ops=ops, mode=mode)
                    file = self.feed("uri: rows.csv, format: csv", "--epochs", "2", ops=ops, mode=mode)
                    self.assertEqual((table["digest"], table["samples"], table["dropped"]),
                                     (file["digest"], file["samples"], file["dropped"]))
                    self.assertEqual(table["samples"] + table["dropped"], 2 * records)
                    if not head:
                        share = table["bytes_read"] / 2 / whole["bytes_read"]
                        self.assertAlmostEqual(share, records / 3000, delta=0.01)
        taken = json.loads(self.opiml("data", "index", "p.yaml", "--json").stdout)
        self.assertEqual(taken["records"], 3000)  # of the data set, whoever takes how much

    def test_same_as_npz(self):
        columns = list(zip(*self.rows))
        numpy.savez(self.path("rows.npz"), id=numpy.array(columns[0], "i8"),
                    amount=numpy.array([numpy.nan if x is None else x for x in columns[1]], "f4"),
                    city=numpy.array(columns[2], "i4"))
        ops = "  - select: {fields: [city, amount, id]}"
        table = self.feed(self.table(', types: ["amount:f32", "city:i32"]'), ops=ops)
        file = self.feed("uri: rows.npz, format: npz, records: row, fields: [id, amount, city]", ops=ops)
        self.assertEqual(table["digest"], file["digest"])

    def test_narrow_numbers_are_compared_as_they_were_rounded(self):
        self.write_csv(self.rows)
        for where in "amount > 60.5", "not amount > 60.5", "amount == 61.25", "amount <= 40", "not amount < 40":
            ops = "  - filter: {where: \"%s\"}\n  - select: {fields: [id, amount]}" % where
            self.assertEqual(self.feed(self.table(", " + TYPES), ops=ops)["digest"],
                             self.feed("uri: rows.csv, format: csv, " + TYPES, ops=ops)["digest"])

    def test_where_is_of_the_data_set(self):
        rows = [row for row in self.rows if row[2] == 7]
        self.write_csv(rows)
        table = self.feed(self.table(', where: "city = 7"'), ops="  - select: {fields: [id, city]}")
        self.assertEqual(table["digest"], self.feed("uri: rows.csv, format: csv",
                                                    ops="  - select: {fields: [id, city]}")["digest"])
        self.assertEqual((table["samples"], table["dropped"]), (len(rows), 0))

    def test_query(self):
        query = "uri: '%s', query: 'SELECT id AS k, city * 2 AS twice FROM payments', key: k" % self.uri
        batches = collect(opiml.Pipeline(self.pipeline(query, "  - rename: {from: twice, to: t}", "none")))
        self.assertEqual([int(x) for _, _, arrays in batches for x in arrays["t"]], [2 * row[2] for row in self.rows])

    def test_text_keys(self):
        keys = sorted("k%d\"\\%s" % (i * 7919 % 1000, "é" * (i % 3)) for i in range(500))
        self.fill("named", "name text PRIMARY KEY, n int", [(key, i) for i, key in enumerate(keys)])
        batches = collect(opiml.Pipeline(self.pipeline("uri: '%s#named'" % self.uri, "  - select: {fields: [n]}", "global")))
        self.assertEqual(sorted(int(x) for _, _, arrays in batches for x in arrays["n"]), list(range(500)))
        batches = collect(opiml.Pipeline(self.pipeline("uri: '%s#named'" % self.uri, "  - select: {fields: [n]}", "none")))
        order = sorted(range(500), key=lambda i: keys[i].encode())
        self.assertEqual([int(x) for _, _, arrays in batches for x in arrays["n"]], order)

    def test_rows_that_change(self):
        """A row that is gone, and one of another version, are bad records with their keys."""
        self.fill("live", "id int PRIMARY KEY, n int, changed int", [(i, i, 1) for i in range(200)])
        dataset = "uri: '%s', table: live, key: id, version: changed" % self.uri
        whole = self.feed(dataset, ops="  - select: {fields: [n]}")
        self.sql("DELETE FROM live WHERE id = 17")
        self.sql("UPDATE live SET n = 5, changed = 2 WHERE id = 99")
        self.sql("INSERT INTO live VALUES (1000, 1, 1)")
        kept = dataset + ", index: keep"
        text = self.feed(kept, ops="  - select: {fields: [n]}", status=6)
        self.assertRegex(text, r"#live id (17|99): changed since it was indexed")
        report = self.feed(kept, ops="  - select: {fields: [n]}", budget=2)
        self.assertEqual((report["samples"], report["errors"]), (198, 2))
        # Without `keep` there are other rows, and a resume is refused.
        self.assertEqual(self.feed(dataset, ops="  - select: {fields: [n]}")["samples"], 200)
        self.assertIn("changed since", self.feed(dataset, "--resume", whole["resume"],
                                                 ops="  - select: {fields: [n]}", status=6))

    def test_a_column_that_goes(self):
        self.fill("short", "id int PRIMARY KEY, n int, m int", [(i, i, i) for i in range(50)])
        dataset = "uri: '%s', table: short" % self.uri
        self.feed(dataset, ops="  - select: {fields: [n]}")
        self.sql("ALTER TABLE short DROP COLUMN n")
        self.assertIn('no column "n" any more', self.feed(dataset + ", index: keep", ops="  - select: {fields: [n]}",
                                                          status=6))
        self.assertIn('no field "n"', self.feed(dataset, ops="  - select: {fields: [n]}", status=2))

    def test_mistakes(self):
        for dataset, status, text in (
                ("uri: '%s'" % self.uri, 2, "say which table"),
                ("uri: '%s', table: nothing" % self.uri, 3, "nothing"),
                (self.table(", key: identity"), 2, 'no column "identity"'),
                (self.table(", key: amount"), 2, "key"),
                (self.table(", version: x"), 2, 'version: payments has no column "x"'),
                (self.table(', types: ["amount:f16"]'), 2, "is not column:type"),
                (self.table(', types: ["amuont:f32"]'), 2, 'did you mean "amount"'),
                (self.table(', where: "1 = 2"'), 3, "no records"),
                (self.table(", where: \"colour = 1\""), 2, "colour"),
                ("uri: '%s#payments', format: csv" % self.uri, 2, "format csv is not for"),
                ("uri: '%s', query: 'SELECT 1 AS x'" % self.uri, 2, "no primary key"),
                ("uri: rows.csv, format: table", 2, "format table is not for")):
            self.write_csv(self.rows[:3])
            self.assertIn(text, self.feed(dataset, status=status), dataset)

    def test_resume(self):
        whole = self.feed(self.table())
        self.feed(self.table(), "--state", "state", "--limit", "1000")
        self.assertEqual(self.feed(self.table(), "--state", "state")["digest"], whole["digest"])

    def test_index_and_lists(self):
        described = json.loads(self.opiml("data", "index", self.uri + "#payments", "--json").stdout)
        self.assertEqual((described["records"], described["format"]), (len(self.rows), "table"))
        self.assertIn("key %d" % self.rows[3][0], self.opiml("data", "peek", self.uri + "#payments", "3").stdout)
        self.opiml("data", "convert", self.uri + "#payments", "converted.csv")
        with open(self.path("converted.csv")) as converted:
            self.assertEqual(len(converted.readlines()), len(self.rows) + 1)

    def test_bytes(self):
        pictures = [bytes([i % 251]) * (i * 37) for i in range(100)]
        self.fill("pictures", "id int PRIMARY KEY, image %s, label int" % self.BYTES,
                  [(i, picture, i) for i, picture in enumerate(pictures)])
        self.opiml("data", "convert", self.uri + "#pictures", "out.jsonl", "--fields", "label")
        for i in 0, 1, 99:
            shown = self.opiml("data", "peek", self.uri + "#pictures", str(i)).stdout
            self.assertRegex(shown, r"image +u8 %d\b" % len(pictures[i]))
        text = self.feed("uri: '%s#pictures'" % self.uri, ops="  - select: {fields: [image]}", status=2)
        self.assertIn("rows of \"image\"", text)


class SQLite(Common, Databases):
    BYTES = "blob"

    def setUp(self):
        super().setUp()
        self.uri = "sqlite://" + self.path("shop.db")
        self.fill("payments", COLUMNS, self.rows)

    def fill(self, table, columns, rows):
        with sqlite3.connect(self.path("shop.db")) as file:
            file.execute("CREATE TABLE %s (%s)" % (table, columns))
            file.executemany("INSERT INTO %s VALUES (%s)" % (table, ",".join("?" * len(rows[0]))), rows)
        file.close()

    def sql(self, text):
        with sqlite3.connect(self.path("shop.db")) as file:
            file.execute(text)
        file.close()

    def test_relative(self):
        self.assertEqual(self.feed("uri: 'sqlite://shop.db', table: payments")["digest"],
                         self.feed(self.table())["digest"])

    def test_locked(self):
        whole = self.feed(self.table())
        writer = sqlite3.connect(self.path("shop.db"), isolation_level=None)
        writer.execute("BEGIN EXCLUSIVE")
        environment = dict(os.environ, OPIML_DB_TIMEOUT="1")
        self.assertIn("database is locked", self.feed(self.table(), status=8, env=environment))
        process = subprocess.Popen([os.environ["OPIML"], "feed", "p.yaml", "--digest", "--json"], cwd=self.folder,
                                   stdout=subprocess.PIPE, text=True)
        time.sleep(0.5)
        writer.execute("ROLLBACK")
        writer.close()
        self.assertEqual(json.loads(process.communicate(timeout=30)[0])["digest"], whole["digest"])

    def test_removed_and_replaced(self):
        pipeline = opiml.Pipeline(self.pipeline(self.table()))
        stream = iter(pipeline)
        next(stream)
        os.remove(self.path("shop.db"))
        with self.assertRaisesRegex(opiml.Error, "shop.db: the file was removed or replaced"):
            for _ in range(5000):
                next(stream)

    def test_damaged(self):
        self.feed(self.table())
        with open(self.path("shop.db"), "r+b") as file:
            size = os.path.getsize(self.path("shop.db"))
            file.seek(size // 2 // 4096 * 4096)
            file.write(b"\xff" * 4096)
        text = self.feed(self.table(", index: keep"), status=6)
        self.assertRegex(text, "#payments key -?[0-9]+: damaged data")
        report = self.feed(self.table(", index: keep"), budget=1000)
        self.assertTrue(0 < report["errors"] < 1000)
        self.write("shop.db", b"no database" * 1000)
        self.assertIn("file is not a database", self.feed(self.table(", index: keep"), status=6))
        os.remove(self.path("shop.db"))
        self.assertIn("No such file", self.feed(self.table(), status=3))

    def test_mixed_values(self):
        """Values have the types of their own: what is no number makes texts of a column."""
        self.fill("mixed", "id integer primary key, a, b, c", [(1, 1, 1, None), (2, 2.5, "x", None), (3, None, 2, None)])
        fields = json.loads(self.opiml("data", "index", self.uri + "#mixed", "--json").stdout)["fields"]
        self.assertEqual([field["type"] for field in fields], ["i64", "f64", "u8 ?", "u8 ?"])
        self.fill("kinds", "k, n int", [(1, 1), ("x", 2)])
        self.assertIn("numbers and texts", self.feed("uri: '%s', table: kinds, key: k" % self.uri, status=2))
        self.fill("twice", "k int, n int", [(1, 1), (1, 2)])
        self.assertIn("same value in two rows", self.feed("uri: '%s', table: twice, key: k" % self.uri, status=2))


@needs_postgres
class Postgres(Common, Databases):
    BYTES = "bytea"

    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.close)

    def setUp(self):
        super().setUp()
        self.uri = self.server.uri
        self.server.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        self.server.sql("CREATE TABLE payments (%s)" % COLUMNS)
        self.server.load("payments", self.write_csv(self.rows))
        self.server.sql("UPDATE payments SET kind = '' WHERE kind IS NULL")

    def sql(self, text):
        self.server.sql(text)

    def fill(self, table, columns, rows):
        def literal(value):
            if isinstance(value, bytes):
                return "'\\x%s'" % value.hex()
            return "NULL" if value is None else "'%s'" % str(value).replace("'", "''")
        path = self.write("fill.sql", "CREATE TABLE %s (%s);\nINSERT INTO %s VALUES %s;" % (
            table, columns, table, ",\n".join("(%s)" % ",".join(map(literal, row)) for row in rows)))
        with open(path) as file:
            self.server.run("psql", "-X", "-q", "-h", self.server.folder, "-p", str(self.server.port), "-U", "shop",
                            "-d", "shop", "-v", "ON_ERROR_STOP=1", "-f", "-", stdin=file)

    def test_types(self):
        self.sql("CREATE TABLE types (id uuid PRIMARY KEY, a int2, b int8, c float4, d numeric(10,2), e bool, "
                 "f timestamptz, g date, h varchar(9), i char(4), j bytea, k int4[], l json)")
        self.sql("INSERT INTO types VALUES ('00000000-0000-0000-0000-00000000000a', -3, 5000000000, 1.5, 12.34, true, "
                 "'2024-01-01 00:00:01+00', '2024-01-02', 'h', 'i', '\\x00ff', '{1,2}', '{}'), "
                 "('00000000-0000-0000-0000-00000000000b', 4, -1, 'NaN', -0.01, false, "
                 "'1970-01-01 00:00:00+00', '1970-01-01', '', '', '', '{}', '[]')")
        fields = json.loads(self.opiml("data", "index", self.uri + "#types", "--json").stdout)["fields"]
        self.assertEqual([field["type"] for field in fields],
                         ["u8 ?", "i64", "i64", "f64", "f64", "i64", "i64", "i64"] + ["u8 ?"] * 5)
        ops = "  - select: {fields: [a, b, c, d, e, f, g]}"
        (_, _, rows), = collect(opiml.Pipeline(self.pipeline("uri: '%s#types'" % self.uri, ops, "none")))
        self.assertEqual(rows["a"].tolist(), [-3, 4])
        self.assertEqual(rows["b"].tolist(), [5000000000, -1])
        self.assertEqual(str(rows["c"].tolist()), "[1.5, nan]")
        self.assertEqual(rows["d"].tolist(), [12.34, -0.01])
        self.assertEqual(rows["e"].tolist(), [1, 0])
        self.assertEqual(rows["f"].tolist(), [1704067201000000, 0])
        self.assertEqual(rows["g"].tolist(), [1704153600000000, 0])

    def test_a_session_changes_nothing(self):
        """Text that a server makes of a value has one form, whatever machine, role or database asks for."""
        self.sql("CREATE TABLE moments (id int PRIMARY KEY, at timestamptz, day date, took interval, cost money, raw bytea[])")
        self.sql("INSERT INTO moments VALUES (1, '2024-03-02 01:02:03+00', '2024-03-02', '1 day 02:00:00', 12.5, "
                 "ARRAY['\\x00ff'::bytea])")
        self.pipeline("uri: '%s#moments', version: at, types: [\"at:text\", \"day:text\"]" % self.uri,
                      "  - select: {fields: [id]}")

        def look():
            index = json.loads(self.opiml("data", "index", "p.yaml", "--json").stdout)
            return self.opiml("data", "peek", "p.yaml").stdout, index["fingerprint"]

        here = look()
        self.assertIn("2024-03-02 01:02:03+00", here[0])
        self.sql("ALTER DATABASE shop SET intervalstyle = 'iso_8601'; ALTER DATABASE shop SET bytea_output = 'escape'")
        self.addCleanup(self.sql, "ALTER DATABASE shop RESET ALL")
        self.set("PGTZ", "Asia/Tokyo")
        self.set("PGDATESTYLE", "German, DMY")
        self.set("XDG_CACHE_HOME", self.path("another"))
        self.assertEqual(look(), here)

    def test_names_are_quoted(self):
        """A name is taken as it is written, here as in FROM; columns that a key only includes are none of it."""
        self.sql('CREATE TABLE "Pay ""ments" (n int, "Id" int, PRIMARY KEY ("Id") INCLUDE (n))')
        self.sql('INSERT INTO "Pay ""ments" VALUES (7, 1), (8, 2)')
        self.sql('CREATE SCHEMA IF NOT EXISTS "Shop"; CREATE TABLE "Shop"."Items" (id int PRIMARY KEY)')
        self.addCleanup(self.sql, 'DROP SCHEMA "Shop" CASCADE')
        self.sql('INSERT INTO "Shop"."Items" VALUES (3)')
        for table, rows in (('Pay "ments', 2), ("Shop.Items", 1)):
            self.pipeline("uri: '%s', table: '%s'" % (self.uri, table), "  - select: {fields: [id]}")
            self.assertEqual(json.loads(self.opiml("data", "index", "p.yaml", "--json").stdout)["records"], rows)

    def test_nan_is_no_number(self):
        self.sql("CREATE TABLE odd (id int PRIMARY KEY, x float8, f bool)")
        self.sql("INSERT INTO odd VALUES (1, 'NaN', true), (2, NULL, false), (3, 5, true), (4, 'Infinity', NULL)")
        for where, ids in (("x > 1", [3, 4]), ("not x > 1", [1, 2]), ("x != 5", [1, 2, 4]), ("not x != 5", [3]),
                           ("x == 5", [3]), ("not x <= 7", [1, 2, 4]), ("f == true", [1, 3]), ("f != true", [2, 4])):
            ops = "  - filter: {where: \"%s\"}\n  - select: {fields: [id]}" % where
            batches = collect(opiml.Pipeline(self.pipeline("uri: '%s#odd'" % self.uri, ops, "none")))
            self.assertEqual([int(x) for _, _, arrays in batches for x in arrays["id"] if x], ids, where)

    def test_a_filter_moves_what_it_keeps(self):
        """1 % of the rows, 2 % of the bytes at most; measured on the wire."""
        self.sql("CREATE TABLE wide AS SELECT i AS id, random() AS share, i %% 100 AS city, %s FROM "
                 "generate_series(1, 60000) AS i" % ", ".join("random() AS x%d" % i for i in range(12)))
        self.sql("ALTER TABLE wide ADD PRIMARY KEY (id)")
        moved = []
        for ops in "  - select: {fields: [id, x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11]}", \
                "  - filter: {where: \"city == 7\"}\n" \
                "  - select: {fields: [id, x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11]}":
            proxy = Proxy(self.server.port)
            uri = self.uri.replace(str(self.server.port), str(proxy.port)) + "?sslmode=disable"
            report = self.feed("uri: '%s', table: wide" % uri, ops=ops)
            proxy.close()
            moved.append((report["samples"], proxy.bytes))
        self.assertEqual([samples for samples, _ in moved], [60000, 600])
        self.assertLess(moved[1][1], 0.02 * moved[0][1], moved)

    def test_a_sample_moves_what_it_keeps(self):
        """Of a sample the rows come and of the others only the keys, once; of a take not even these."""
        self.sql("CREATE TABLE wide AS SELECT i AS id, %s FROM generate_series(1, 20000) AS i" %
                 ", ".join("random() AS x%d" % i for i in range(20)))
        self.sql("ALTER TABLE wide ADD PRIMARY KEY (id)")
        moved = {}
        proxy = Proxy(self.server.port)
        uri = self.uri.replace(str(self.server.port), str(proxy.port)) + "?sslmode=disable"
        for name, ops in ("all", ""), ("sample", "  - sample: {fraction: 0.01}"), ("take", "  - take: {count: 200}"):
            for time in "first", "again":
                before = proxy.bytes
                self.feed("uri: '%s', table: wide" % uri, ops=ops)
                moved[name, time] = proxy.bytes - before
        proxy.close()
        for some in ("sample", "first"), ("sample", "again"), ("take", "first"), ("take", "again"):
            self.assertLess(moved[some], 0.03 * moved["all", "again"], moved)

    def test_goes_away_and_comes_back(self):
        """kill -9 in the middle of an epoch: the feed waits for the server and goes on."""
        whole = self.feed(self.table())
        stream = opiml.Pipeline(self.pipeline(self.table(), "  - select: {fields: [id]}"))
        ids = []
        for number, batch in enumerate(stream):
            ids += batch["id"].tolist()
            if number == 5:
                self.server.kill()
                self.server.start()
        self.assertEqual(sorted(ids), sorted(row[0] for row in self.rows))
        self.assertEqual(self.feed(self.table())["digest"], whole["digest"])

    def test_goes_away_for_good(self):
        """... or gives up, says where, and a resume goes on."""
        whole = self.feed(self.table())
        proxy = Proxy(self.server.port)
        self.addCleanup(proxy.close)
        uri = self.uri.replace(str(self.server.port), str(proxy.port)) + "?sslmode=disable"
        self.feed("uri: '%s', table: payments, key: id" % uri, "--state", "state", "--limit", "500")
        os.environ["OPIML_DB_TIMEOUT"] = "1"
        self.addCleanup(os.environ.pop, "OPIML_DB_TIMEOUT")
        stream = iter(opiml.Pipeline(self.path("p.yaml")))
        next(stream)
        proxy.listener.close()
        proxy.cut()
        with self.assertRaisesRegex(opiml.Error, "127.0.0.1:%d/shop.*#payments id -?[0-9]+: tried for 1 s: "
                                                 ".*Connection refused" % proxy.port):
            for _ in stream:
                pass
        process = self.run_opiml("feed", "p.yaml", "--state", "state")
        self.assertEqual(process.returncode, 5, process.stderr)
        self.assertRegex(process.stderr, "postgres://shop@127.0.0.1:%d/shop.*Connection refused" % proxy.port)
        self.assertEqual(self.feed(self.table(", key: id"), "--state", "state")["digest"], whole["digest"])

    def test_the_password_stays_here(self):
        self.sql("CREATE ROLE guest LOGIN PASSWORD 'open sesame'; GRANT USAGE ON SCHEMA public TO guest")
        uri = self.uri.replace("shop@", "guest:open%20sesame@") + "?sslmode=disable"
        text = self.feed("uri: '%s', table: payments" % uri, status=4)
        self.assertIn("permission denied for table payments", text)
        self.assertIn("postgres://guest@127.0.0.1", text)
        self.assertNotIn("sesame", text)
        text = self.feed("uri: 'postgres://guest:open%20sesame@127.0.0.1:1/shop', table: payments", status=5)
        self.assertIn("Connection refused", text)
        self.assertNotIn("sesame", text)


class Example(Case):
    """examples/fraud-detection, with fewer payments."""

    def test_fraud_detection(self):
        example = os.path.join(os.path.dirname(__file__), "../../examples/fraud-detection")
        for name in "payments-train.yaml", "payments-eval.yaml", "payments.yaml":
            with open(os.path.join(example, name)) as file:
                self.write(name, file.read())
        self.opiml("data", "make", "payments", "--format", "sqlite", "--count", "12000", "--out", "data/payments")
        result = json.loads(self.opiml("train", "payments.yaml", "--json").stdout)
        self.assertGreater(result["eval_auc"], 0.85)
        # The same payments in a file.
        self.opiml("data", "make", "payments", "--format", "csv", "--count", "12000", "--out", "rows")
        digests = []
        for dataset in "{uri: 'sqlite://data/payments/train.db', table: payments}", "{uri: rows/train.csv}":
            self.write("p.yaml", "opiml: 1\nkind: pipeline\ndataset: %s\nbatch: {size: 100}\nops: [{filter: {where: "
                                 "\"status == 'settled'\"}}, {select: {fields: [id, amount, usual, card]}}]\n" % dataset)
            digests.append(json.loads(self.opiml("feed", "p.yaml", "--digest", "--json").stdout)["digest"])
        self.assertEqual(digests[0], digests[1])


if __name__ == "__main__":
    unittest.main()
