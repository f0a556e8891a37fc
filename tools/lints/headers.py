"""Each public header compiles alone, twice over, as C and as C++"""
import shutil
import subprocess

from lints.tree import Skip

LANGUAGES = [
    ("C", ["gcc", "-x", "c", "-std=gnu17"]),
    ("C++", ["g++", "-x", "c++", "-std=c++17"]),
]
FLAGS = ["-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-Iinclude", "-"]


def check(tree):
    for _, command in LANGUAGES:
        if not shutil.which(command[0]):
            raise Skip(f"{command[0]} is not installed")
    findings = []
    for name in tree.files(".h", under=("include/",)):
        line = f"#include <{name[len('include/'):]}>\n"
        for language, command in LANGUAGES:
            run = subprocess.run(command + FLAGS, input=line * 2, cwd=tree.root, text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if run.returncode:
                first = next((text for text in run.stdout.splitlines() if "error:" in text),
                             run.stdout)
                findings.append(f"{name}: not as {language}: {first}")
    return findings
