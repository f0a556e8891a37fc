"""Every symbol that libopiml.so exports starts with opiml_"""
import subprocess

from lints.tree import Skip


def check(tree):
    # The build folder may hold other variants in folders of its own; those are not meant.
    found = [path for pattern in ("libopiml.so", "src/libopiml.so")
             for path in [tree.build / pattern] if path.exists()]
    if not found:
        raise Skip(f"no libopiml.so in {tree.build} yet")
    out = subprocess.run(["nm", "-D", "--defined-only", "--format=posix", str(found[0])], check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    names = [line.split()[0].split("@")[0] for line in out.splitlines() if line.strip()]
    # What the linker and the sanitizers put there is not ours to name.
    findings = [f"{found[0].name}: {name}" for name in sorted(names)
                if not name.startswith(("opiml_", "__odr_asan", "__asan_", "_init", "_fini"))
                and name not in ("__bss_start", "_edata", "_end")]
    if not names:
        findings.append(f"{found[0].name}: exports nothing")
    return findings
