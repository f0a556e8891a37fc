"""No path of somebody's machine, no left-over of a merge, no over-long line of C"""
import re

PATTERNS = [
    # Only at the start of a path: inside the tree a folder may be called so.
    (re.compile(r"(?<![\w.$@})~-])/(?:work|farm)/"), "a path that exists on one machine only"),
    (re.compile(r"^(?:<{7}|>{7}|={7})(?: |$)", re.MULTILINE), "a left-over of a merge"),
]
LONG = re.compile(r"^[^\n]{101,}$", re.MULTILINE)


def check(tree):
    findings = []
    for name in tree.names:
        if name.startswith(("tests/golden/", "tests/fuzz/corpus/")):
            continue
        text = tree.text(name)
        if text is None:
            continue
        patterns = list(PATTERNS)
        if name.endswith((".c", ".h")):
            patterns.append((LONG, "more than 100 columns"))
        for pattern, what in patterns:
            for match in pattern.finditer(text):
                line = text.count("\n", 0, match.start()) + 1
                findings.append(f"{name}:{line}: {what}")
    return findings
