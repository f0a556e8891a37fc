"""The tree that lints look at: its files, and C source without its comments and strings."""
import re
import subprocess
from pathlib import Path

COMMENT_OR_STRING = re.compile(
    r"""/\*.*?\*/ | //[^\n]* | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'""",
    re.DOTALL | re.VERBOSE)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)


class Skip(Exception):
    """Raised by a check that cannot be done here, with the reason."""


class Tree:
    def __init__(self, root, build="build"):
        self.root = Path(root).resolve()
        self.build = self.root / build
        self.names = self._list()

    def _list(self):
        """Files that are committed, or would be; all outside build/ where git does not answer."""
        git = None
        if (self.root / ".git").exists():
            git = subprocess.run(
                ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                cwd=self.root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if git and git.returncode == 0:
            names = {name for name in git.stdout.decode().split("\0") if name}
        else:
            names = {str(path.relative_to(self.root)) for path in self.root.rglob("*")}
        return sorted(name for name in names
                      if not name.startswith(("build/", ".git/")) and (self.root / name).is_file()
                      and not (self.root / name).is_symlink())

    def files(self, *suffixes, under=("",)):
        """Names that end in one of the suffixes and lie in one of the folders."""
        return [name for name in self.names
                if name.endswith(suffixes) and name.startswith(tuple(under))]

    def text(self, name):
        """A file's text; None when it is binary."""
        data = (self.root / name).read_bytes()
        if b"\0" in data:
            return None
        return data.decode("utf-8", errors="replace")

    def code(self, name):
        """C source with comments and strings blanked out; line numbers stay."""
        return COMMENT_OR_STRING.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), self.text(name))

    def includes(self, name):
        """(line, bracket, header) of each #include outside comments; the bracket is < or "."""
        text = re.sub(r"/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m.group()), self.text(name),
                      flags=re.DOTALL)
        return [(text.count("\n", 0, m.start(2)) + 1, m.group(1), m.group(2))
                for m in INCLUDE.finditer(text)]

    def table(self, name):
        """The `key: value` lines of a file under tools/, as (key, value) pairs."""
        rows = []
        for line in self.text(name).splitlines():
            line = line.split("#")[0].strip()
            if line:
                key, _, value = line.partition(":")
                rows.append((key.strip(), value.strip()))
        return rows
