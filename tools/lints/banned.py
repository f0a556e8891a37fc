"""No libc call that cannot be used safely"""
import re

# What to use instead.
BANNED = {
    "alloca": "an array of a stated size, or the heap",
    "atof": "strtod with its end and errno looked at",
    "atoi": "strtol with its end and errno looked at",
    "atol": "strtol with its end and errno looked at",
    "atoll": "strtoll with its end and errno looked at",
    "gets": "fgets or getline",
    "rand": "opiml_rng",
    "sprintf": "snprintf",
    "strcat": "a buffer that knows its size",
    "strcpy": "a copy that knows the size",
    "strncat": "a buffer that knows its size",
    "strtok": "strsep, or a loop",
    "tmpnam": "mkstemp",
    "vsprintf": "vsnprintf",
}
CALL = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")


def check(tree):
    findings = []
    for name in tree.files(".c", ".h", ".inc", under=("src/", "app/", "include/")):
        code = tree.code(name)
        for match in CALL.finditer(code):
            line = code.count("\n", 0, match.start()) + 1
            findings.append(f"{name}:{line}: {match.group(1)}: use {BANNED[match.group(1)]}")
    return findings
