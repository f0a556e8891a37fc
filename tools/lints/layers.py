"""Modules include only what tools/layers.txt lets them"""


def _reach(edges):
    """Each module's dependencies with their dependencies. Raises ValueError on a cycle."""
    reach = {}

    def visit(module, path):
        if module in path:
            raise ValueError("a cycle: " + " -> ".join((*path, module)))
        if module not in edges:
            raise ValueError(f"no line for the module {module}")
        if module not in reach:
            below = set()
            for other in edges[module]:
                below |= {other} | visit(other, (*path, module))
            reach[module] = below
        return reach[module]

    for module in edges:
        visit(module, ())
    return reach


def check(tree):
    edges = {module: below.split() for module, below in tree.table("tools/layers.txt")}
    try:
        reach = _reach(edges)
    except ValueError as problem:
        return [f"tools/layers.txt: {problem}"]
    findings = []
    for name in tree.files(".c", ".h", ".inc", under=("src/",)):
        parts = name.split("/")
        if len(parts) < 3:
            continue
        module = parts[1]
        if module not in edges:
            findings.append(f"{name}:1: the module {module} has no line in tools/layers.txt")
            continue
        for line, _, header in tree.includes(name):
            other = header.split("/")[0]
            if header.startswith("../") or header.startswith("./"):
                findings.append(f'{name}:{line}: name it by its module, not "{header}"')
            elif "/" in header and other == "app":
                findings.append(f"{name}:{line}: the library knows nothing of app/")
            elif "/" in header and other in edges and other != module \
                    and other not in reach[module]:
                findings.append(f"{name}:{line}: {module} may not include {other} ({header})")
    return findings
