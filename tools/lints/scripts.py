"""Scripts parse in the language that their first line names"""
import re
import subprocess

SHEBANG = re.compile(r"^#!\s*(?:/usr)?/bin/(?:env\s+)?(sh|bash|dash|python3)\b")


def _parse(tree, language, name):
    """What is wrong with a script's syntax; empty when nothing is."""
    if language == "python3":
        try:
            compile(tree.text(name), name, "exec")
        except SyntaxError as problem:
            return f"line {problem.lineno}: {problem.msg}"
        return ""
    return subprocess.run([language, "-n", name], cwd=tree.root, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT).stdout.strip()


def check(tree):
    findings = []
    for name in tree.names:
        with open(tree.root / name, "rb") as file:
            first = file.read(64).decode("latin-1")
        match = SHEBANG.match(first)
        if name.endswith(".sh") and not match:
            findings.append(f"{name}:1: a shell script's first line is #!/bin/sh or #!/bin/bash")
        if not match and not name.endswith(".py"):
            continue
        problem = _parse(tree, match.group(1) if match else "python3", name)
        if problem:
            findings.append(f"{name}: {problem}")
        if match and not (tree.root / name).stat().st_mode & 0o100:
            findings.append(f"{name}: has a program's first line, but may not be executed")
    return findings
