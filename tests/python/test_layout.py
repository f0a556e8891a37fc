"""The binding's structs and constants are those of the C headers."""
import ctypes
import os
import re
import shutil
import subprocess
from pathlib import Path

from helper import Case, opiml, unittest

from opiml import native

HEADERS = Path(__file__).resolve().parent.parent.parent / "include"

STRUCTS = {
    "opiml_error": native.ErrorDetail, "opiml_field": native.Field, "opiml_schema": native.Schema,
    "opiml_feed_options": native.FeedOptions, "opiml_batch": native.Batch,
    "opiml_station_stats": native.StationStats, "opiml_feed_stats": native.FeedStats,
}


def members(text):
    """{struct: names of its members, in order} of a header's text."""
    found = {}
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    for name, body in re.findall(r"struct (\w+) \{(.*?)\n\};", text, re.DOTALL):
        words = [re.sub(r"\[.*?\]", "", word) for word in re.split(r"[;,]", body)]
        found[name] = [re.search(r"(\w+)\s*$", word).group(1) for word in words if word.strip()]
    return found


@unittest.skipUnless(HEADERS.is_dir(), "the headers are not here")
class Layout(Case):
    def test_structs(self):
        compiler = shutil.which(os.environ.get("CC", "cc").split()[0])
        if not compiler:
            self.skipTest("no C compiler")
        fields = [(struct, name) for struct, kind in STRUCTS.items() for name, _ in kind._fields_]
        source = self.write("layout.c", "#include <stdio.h>\n#include <opiml/feed.h>\nint main(void){\n" + "".join(
            f'printf("%zu\\n", sizeof(struct {struct}));\n' for struct in STRUCTS) + "".join(
            f'printf("%zu\\n", offsetof(struct {struct}, {name}));\n' for struct, name in fields) +
            "}\n")
        subprocess.run([compiler, "-I", HEADERS, source, "-o", self.path("layout")], check=True)
        numbers = subprocess.run([self.path("layout")], check=True, stdout=subprocess.PIPE,
                                 text=True).stdout.split()
        ours = [ctypes.sizeof(kind) for kind in STRUCTS.values()]
        ours += [getattr(STRUCTS[struct], name).offset for struct, name in fields]
        self.assertEqual(dict(zip([*STRUCTS, *fields], map(int, numbers))),
                         dict(zip([*STRUCTS, *fields], ours)))

    def test_members(self):
        found = {}
        for header in ("error.h", "batch.h", "feed.h"):
            found.update(members((HEADERS / "opiml" / header).read_text()))
        for struct, kind in STRUCTS.items():
            self.assertEqual(found[struct], [name for name, _ in kind._fields_], struct)

    def test_constants(self):
        text = "".join((HEADERS / "opiml" / name).read_text() for name in ("batch.h", "feed.h"))
        for name in ("MAX_DIMS", "MAX_FIELDS", "NAME_BYTES", "TOKEN_BYTES", "MAX_STATIONS"):
            value = re.search(rf"#define OPIML_{name} (\d+)", text).group(1)
            self.assertEqual(getattr(native, name), int(value))
        for name in ("OK", "DROPPED", "FAILED"):
            value = re.search(rf"OPIML_ROW_{name} = (\d+)", text).group(1)
            self.assertEqual(getattr(opiml, f"ROW_{name}"), int(value))

    def test_every_error_has_a_class(self):
        text = (HEADERS / "opiml/error.h").read_text()
        for name, number in re.findall(r"X\((E\w+), (\d+),", text):
            problem = native.ErrorDetail(-int(number), b"why")
            with self.assertRaisesRegex(opiml.Error, "why") as caught:
                native.check(-int(number), problem)
            self.assertEqual(caught.exception.name, name)
            self.assertEqual(caught.exception.code, -int(number))


if __name__ == "__main__":
    unittest.main()
