"""C files look as .clang-format says (./dev fmt mends it)"""
import shutil
import subprocess

from lints.tree import Skip


def _files(tree):
    return tree.files(".c", ".h", under=("include/", "src/", "app/", "tests/", "bench/", "examples/"))


def _run(tree, *options):
    if not shutil.which("clang-format"):
        raise Skip("clang-format is not installed")
    names = _files(tree)
    if not names:
        return ""
    return subprocess.run(["clang-format", "--style=file", *options, *names], cwd=tree.root,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout


def check(tree):
    found = {}
    for line in _run(tree, "--dry-run", "-Werror").splitlines():
        where, mark, _ = line.partition(": error: ")
        if mark:
            name, number = where.split(":")[:2]
            found.setdefault(name, number)
    return [f"{name}:{number}: first place that is laid out otherwise"
            for name, number in sorted(found.items())]


def fix(tree):
    _run(tree, "-i")
