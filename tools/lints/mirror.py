"""Each src/m/f.c has its tests/unit/m/test_f.c, and the other way round"""


def check(tree):
    sources = {tuple(name.split("/")[1:]) for name in tree.files(".c", under=("src/",))
               if name.count("/") == 2}
    tests = {tuple(name.split("/")[2:]) for name in tree.files(".c", under=("tests/unit/",))
             if name.count("/") == 3 and name.split("/")[3].startswith("test_")}
    findings = [f"src/{module}/{file}: no tests/unit/{module}/test_{file}"
                for module, file in sorted(sources) if (module, "test_" + file) not in tests]
    findings += [f"tests/unit/{module}/{file}: no src/{module}/{file[len('test_'):]}"
                 for module, file in sorted(tests) if (module, file[len("test_"):]) not in sources]
    return findings
