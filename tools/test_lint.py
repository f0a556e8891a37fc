#!/usr/bin/python3
"""Proof that every lint can fail, and that it is content with what is right.

Each case is a small tree in a temporary folder: one that breaks a single rule, and one that keeps it.
"""
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from lints import banned, format, headers, layers, mirror, scripts, symbols, words, wrappers  # noqa: E402
from lints.tree import Tree  # noqa: E402

LAYERS = "base:\nbatch: base\nop: base batch\nnn: batch\n"
MERGE = "<" * 7 + " mine\n"
MACHINE_PATH = "/wo" "rk/main"


class Case(unittest.TestCase):
    def tree(self, files):
        """A folder with these files, gone at the end of the test."""
        root = Path(tempfile.mkdtemp(prefix="opiml-lint-"))
        self.addCleanup(shutil.rmtree, root)
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return Tree(root)

    def good(self, module, files):
        self.assertEqual(module.check(self.tree(files)), [])

    def bad(self, module, files, *parts):
        """One finding, which names these things."""
        findings = module.check(self.tree(files))
        self.assertEqual(len(findings), 1, findings)
        for part in parts:
            self.assertIn(part, findings[0])


class Layers(Case):
    def files(self, include, layers=LAYERS):
        return {"tools/layers.txt": layers, "src/op/op_x.c": f"/* x */\n{include}\n"}

    def test_direct(self):
        self.good(layers, self.files('#include "batch/batch.h"'))

    def test_through_another(self):
        self.good(layers, self.files('#include "base/base.h"', "base:\nbatch: base\nop: batch\n"))

    def test_own(self):
        self.good(layers, self.files('#include "op/registry.h"'))

    def test_public(self):
        self.good(layers, self.files("#include <opiml/op.h>"))

    def test_comment(self):
        self.good(layers, self.files('/*\n#include "nn/nn.h"\n*/'))

    def test_upward(self):
        self.bad(layers, self.files('#include "nn/nn.h"'), "src/op/op_x.c:2", "nn")

    def test_header_too(self):
        self.bad(layers, {"tools/layers.txt": LAYERS, "src/base/a.h": '#  include "op/op.h"\n'},
                 "src/base/a.h:1")

    def test_relative(self):
        self.bad(layers, self.files('#include "../nn/nn.h"'), "src/op/op_x.c:2")

    def test_app(self):
        self.bad(layers, self.files('#include "app/opiml/verb.h"'), "app")

    def test_unknown_module(self):
        self.bad(layers, {"tools/layers.txt": LAYERS, "src/new/a.c": "int a;\n"}, "new")

    def test_cycle(self):
        self.bad(layers, {"tools/layers.txt": "a: b\nb: a\n"}, "cycle")

    def test_edge_to_nowhere(self):
        self.bad(layers, {"tools/layers.txt": "a: b\n"}, "no line for the module b")

    def test_real_table(self):
        """The table of this tree has no cycle and no edge to nowhere."""
        text = (HERE / "layers.txt").read_text()
        self.good(layers, {"tools/layers.txt": text})


class Wrappers(Case):
    def files(self, rule, **sources):
        files = {name.replace("__", "/") + ".c": text for name, text in sources.items()}
        return {"tools/wrappers.txt": rule, **files}

    def test_one(self):
        self.good(wrappers, self.files("jpeglib.h: *\n", src__op__jpeg="#include <jpeglib.h>\n"))

    def test_libc(self):
        self.good(wrappers, self.files("", src__op__a="#include <stdio.h>\n#include <sys/mman.h>\n"))

    def test_tests_may(self):
        self.good(wrappers, self.files("jpeglib.h: *\n", src__op__jpeg="#include <jpeglib.h>\n",
                                       tests__unit__op__test_a="#include <jpeglib.h>\n"))

    def test_two(self):
        self.bad(wrappers, self.files("jpeglib.h: *\n", src__op__jpeg="#include <jpeglib.h>\n",
                                      src__op__other="#include <jpeglib.h>\n"), "src/op/other.c:1")

    def test_the_wrong_one(self):
        self.bad(wrappers, self.files("jpeglib.h: src/op/jpeg.c\n",
                                      app__opiml__main="#include <jpeglib.h>\n"), "src/op/jpeg.c")

    def test_header(self):
        self.bad(wrappers, {"tools/wrappers.txt": "spng.h: *\n", "src/op/a.h": "#include <spng.h>\n"},
                 "src/op/a.h:1")

    def test_unlisted(self):
        self.bad(wrappers, self.files("", src__op__a="#include <lz4.h>\n"), "lz4.h")


class Banned(Case):
    def test_good(self):
        self.good(banned, {"src/m/a.c": 'f(s->strcpy(1), my_atoi(2), "atoi(3)"); /* strcpy(4) */\n'
                                        "// sprintf(5)\nsnprintf(b, n, x);\n"})

    def test_tests_may(self):
        self.good(banned, {"tests/unit/m/test_a.c": "strcpy(a, b);\n"})

    def test_each(self):
        for name in banned.BANNED:
            with self.subTest(name):
                self.bad(banned, {"app/opiml/a.c": f"\nx = {name} (a);\n"}, "app/opiml/a.c:2", name)


class Mirror(Case):
    def test_good(self):
        self.good(mirror, {"src/m/f.c": "", "tests/unit/m/test_f.c": "", "tests/unit/m/help.c": ""})

    def test_no_test(self):
        self.bad(mirror, {"src/m/f.c": ""}, "tests/unit/m/test_f.c")

    def test_no_source(self):
        self.bad(mirror, {"tests/unit/m/test_f.c": ""}, "src/m/f.c")

    def test_elsewhere(self):
        self.assertEqual(len(mirror.check(self.tree(
            {"src/m/f.c": "", "tests/unit/n/test_f.c": ""}))), 2)


@unittest.skipUnless(shutil.which("clang-format"), "clang-format is not installed")
class Format(Case):
    STYLE = (HERE.parent / ".clang-format").read_text()
    LIST = ("#define LIST(X)".ljust(99) + "\\\n" + "    X(ONE, 1)".ljust(99) + "\\\n    X(TWO, 2)\n")

    def test_good(self):
        self.good(format, {".clang-format": self.STYLE,
                           "src/m/a.c": "int f(char *p) {\n    return *p;\n}\n"})

    def test_list_macro(self):
        self.good(format, {".clang-format": self.STYLE, "include/opiml/a.h": self.LIST})

    def test_bad(self):
        for text in ("int f(char* p) {\n    return *p;\n}\n", "int f(char *p)\n{\n    return *p;\n}\n",
                     "int f(char *p) { return *p; }\n", "int f(char *p) {\n  return *p;\n}\n"):
            with self.subTest(text):
                self.bad(format, {".clang-format": self.STYLE, "src/m/a.c": text}, "src/m/a.c:")

    def test_fix(self):
        tree = self.tree({".clang-format": self.STYLE, "src/m/a.c": "int   a ;\n"})
        format.fix(tree)
        self.assertEqual(format.check(tree), [])


@unittest.skipUnless(shutil.which("gcc") and shutil.which("g++"), "gcc and g++ are not installed")
class Headers(Case):
    def test_good(self):
        self.good(headers, {"include/opiml/a.h": "#ifndef A\n#define A\n#include <stddef.h>\n"
                                                 "struct a {\n    size_t n;\n};\n#endif\n"})

    def test_not_alone(self):
        findings = headers.check(self.tree({"include/opiml/a.h": "extern size_t a;\n"}))
        self.assertEqual(len(findings), 2, findings)

    def test_not_as_cpp(self):
        self.bad(headers, {"include/opiml/a.h": "int f(int class);\n"}, "C++")

    def test_not_twice(self):
        findings = headers.check(self.tree({"include/opiml/a.h": "struct a {\n    int n;\n};\n"}))
        self.assertEqual(len(findings), 2, findings)


@unittest.skipUnless(shutil.which("gcc") and shutil.which("nm"), "gcc and nm are not installed")
class Symbols(Case):
    def library(self, code):
        tree = self.tree({"a.c": code})
        tree.build.mkdir()
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(tree.build / "libopiml.so"),
                        str(tree.root / "a.c")], check=True)
        return symbols.check(tree)

    def test_good(self):
        self.assertEqual(self.library("int opiml_f(void) { return 1; }\n"
                                      "static int f(void) { return 1; }\n"
                                      '__attribute__((visibility("hidden"))) int g(void)\n'
                                      "{ return f(); }\n"), [])

    def test_function(self):
        self.assertEqual(self.library("int opiml_f(void) { return 1; }\nint f(void) { return 1; }\n"),
                         ["libopiml.so: f"])

    def test_variable(self):
        self.assertEqual(self.library("int opiml_f(void) { return 1; }\nint table[3];\n"),
                         ["libopiml.so: table"])

    def test_empty(self):
        self.assertEqual(self.library("static int a;\n"), ["libopiml.so: exports nothing"])


class Scripts(Case):
    def script(self, text, mode=0o755, name="a.sh"):
        tree = self.tree({name: text})
        (tree.root / name).chmod(mode)
        return scripts.check(tree)

    def test_good(self):
        self.assertEqual(self.script("#!/bin/sh\necho a\n"), [])
        self.assertEqual(self.script("#!/bin/bash\na=(1 2)\n"), [])

    def test_syntax(self):
        self.assertEqual(len(self.script("#!/bin/sh\nif true; then\n")), 1)

    def test_bashism_in_sh(self):
        if Path("/bin/sh").resolve().name == "bash":
            self.skipTest("this sh is bash")
        self.assertEqual(len(self.script("#!/bin/sh\na=(1 2)\n")), 1)

    def test_python(self):
        self.assertEqual(self.script("#!/usr/bin/python3\nx = 1\n", name="tool"), [])
        self.assertEqual(self.script("x = 1\n", mode=0o644, name="a.py"), [])
        self.assertEqual(len(self.script("x = (\n", name="a.py")), 1)

    def test_without_suffix(self):
        self.assertEqual(len(self.script("#!/bin/bash\nwhile\n", name="tool")), 1)

    def test_no_first_line(self):
        self.assertEqual(len(self.script("echo a\n")), 1)

    def test_mode(self):
        self.assertEqual(len(self.script("#!/bin/sh\n", stat.S_IRUSR | stat.S_IWUSR)), 1)


class Words(Case):
    def test_good(self):
        self.good(words, {"README.md": "src" + MACHINE_PATH + " is a relative path; =======x\n"})

    def test_machine_path(self):
        self.bad(words, {"docs/a.md": f"\nsee {MACHINE_PATH}/x\n"}, "docs/a.md:2")

    def test_merge(self):
        self.bad(words, {"a.c": MERGE}, "a.c:1")

    def test_long_line(self):
        self.bad(words, {"a.c": "/* " + "x" * 99 + " */\n"}, "100 columns")

    def test_binary(self):
        self.good(words, {"a.bin": "\0" + MERGE})


class Driver(Case):
    def run_lint(self, files, *names):
        tree = self.tree(files)
        run = subprocess.run([sys.executable, str(HERE / "lint"), "--root", str(tree.root), *names],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return run.returncode, run.stdout.splitlines()

    def test_good(self):
        code, lines = self.run_lint({"src/m/f.c": "", "tests/unit/m/test_f.c": ""}, "mirror", "banned")
        self.assertEqual((code, lines[-1]), (0, "2 passed, 0 failed"))

    def test_bad(self):
        code, lines = self.run_lint({"src/m/f.c": ""}, "mirror", "banned")
        self.assertEqual((code, lines[-1]), (1, "1 passed, 1 failed"))

    def test_skip(self):
        code, lines = self.run_lint({"src/m/f.c": ""}, "symbols")
        self.assertEqual((code, lines[-1]), (0, "0 passed, 0 failed, 1 skipped"))

    def test_unknown(self):
        self.assertEqual(self.run_lint({}, "nonsense")[0], 2)


class Summary(Case):
    """tools/test-summary, which turns a Meson log into the line that everybody looks at."""

    def summary(self, *entries):
        import json
        tree = self.tree({"log.json": "".join(json.dumps(entry) + "\n" for entry in entries)})
        run = subprocess.run([sys.executable, str(HERE / "test-summary"), str(tree.root / "log.json")],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return run.returncode, run.stdout.strip()

    def test_plain(self):
        self.assertEqual(self.summary({"result": "OK", "stdout": "hello"}), (0, "1 passed, 0 failed"))

    def test_cmocka(self):
        text = ("[==========] 3 test(s) run.\n[  PASSED  ] 1 test(s).\n"
                "[  SKIPPED ] 1 test(s), listed below:\n[  SKIPPED ] a\n"
                "[  FAILED  ] 1 test(s), listed below:\n[  FAILED  ] b\n")
        self.assertEqual(self.summary({"result": "FAIL", "stderr": text}),
                         (1, "1 passed, 1 failed, 1 skipped"))

    def test_tap(self):
        text = "1..3\nok 1 - a\nnot ok 2 - b\nok 3 - c # SKIP no d\n"
        self.assertEqual(self.summary({"result": "FAIL", "stdout": text}),
                         (1, "1 passed, 1 failed, 1 skipped"))

    def test_unittest(self):
        text = "Ran 5 tests in 0.1s\n\nFAILED (failures=1, errors=1, skipped=1)\n"
        self.assertEqual(self.summary({"result": "FAIL", "stderr": text}),
                         (1, "2 passed, 2 failed, 1 skipped"))

    def test_crash_after_passing(self):
        self.assertEqual(self.summary({"result": "FAIL", "stderr": "[  PASSED  ] 4 test(s).\n"}),
                         (1, "4 passed, 1 failed"))

    def test_time_out_and_skip(self):
        self.assertEqual(self.summary({"result": "TIMEOUT"}, {"result": "SKIP"}),
                         (1, "0 passed, 1 failed, 1 skipped"))

    def test_nothing_ran(self):
        self.assertEqual(self.summary(), (1, "0 passed, 0 failed"))

    def test_no_log(self):
        run = subprocess.run([sys.executable, str(HERE / "test-summary"), "/nonexistent/log"],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.assertEqual((run.returncode, run.stdout.strip()), (1, "0 passed, 1 failed"))


if __name__ == "__main__":
    unittest.main()
