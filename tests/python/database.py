"""A PostgreSQL server of a test's own, from Debian's package; and a proxy that counts what passes."""
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest


def find_programs():
    """The folder of the newest server that is installed, or None."""
    folders = glob.glob("/usr/lib/postgresql/*/bin") + [os.path.dirname(shutil.which("initdb") or "")]
    found = [folder for folder in folders
             if folder and all(os.path.exists(folder + "/" + name) for name in ("initdb", "postgres", "psql"))]
    return found[0] if found else None


PROGRAMS = find_programs()
needs_postgres = unittest.skipUnless(PROGRAMS, "no PostgreSQL server here (Debian: postgresql)")


def plain_user():
    """Whom the server runs as: it refuses to be root."""
    if os.getuid() != 0:
        return None
    for name in "postgres", "nobody":
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            pass
    raise unittest.SkipTest("PostgreSQL does not run as root, and there is no other user")


class Server:
    """On a free port of the loopback, with a superuser `shop` and a database `shop`."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="opiml-postgres-")
        self.user, self.process = plain_user(), None
        self.options = {"user": self.user} if self.user else {}
        if self.user:
            shutil.chown(self.folder, self.user)
        self.run("initdb", "-D", self.folder + "/data", "-U", "shop", "--auth=trust", "-E", "UTF8",
                 "--locale=C", "--no-sync")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = "postgres://shop@127.0.0.1:%d/shop" % self.port
        try:
            self.start()
            self.sql("CREATE DATABASE shop", database="postgres")
        except BaseException:
            self.close()
            raise

    def run(self, program, *arguments, **more):
        return subprocess.run([PROGRAMS + "/" + program, *arguments], check=True, cwd=self.folder, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
                              stdin=more.pop("stdin", subprocess.DEVNULL), **self.options, **more)

    def begin(self):
        self.process = subprocess.Popen(
            [PROGRAMS + "/postgres", "-D", self.folder + "/data", "-p", str(self.port), "-h", "127.0.0.1", "-k",
             self.folder, "-c", "fsync=off", "-c", "max_connections=20", "-c", "shared_buffers=16MB"],
            cwd=self.folder, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            **self.options)

    def start(self):
        self.begin()
        until = time.monotonic() + 30
        while time.monotonic() < until:
            # After a kill it refuses to start while one of those that served a connection is about.
            if self.process.poll() is not None:
                self.begin()
            try:
                return self.sql("SELECT 1", database="postgres")
            except subprocess.CalledProcessError:
                time.sleep(0.05)
        raise RuntimeError("PostgreSQL did not start")

    def kill(self):
        """kill -9 of the server and all that serve its connections."""
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            # Those it had begun are gone when nobody holds the shared memory that a start looks at.
            pid = self.folder + "/data/postmaster.pid"
            if os.path.exists(pid):
                os.remove(pid)
        self.process = None

    def close(self):
        self.kill()
        shutil.rmtree(self.folder)

    def sql(self, text, database="shop"):
        """Run SQL; rows come as lines of cells with '|' between."""
        return self.run("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", self.folder, "-p",
                        str(self.port), "-U", "shop", "-d", database, "-c", text).stdout

    def load(self, table, path):
        """Fill a table from a CSV file with a header."""
        with open(path) as rows:
            self.run("psql", "-X", "-q", "-h", self.folder, "-p", str(self.port), "-U", "shop", "-d", "shop", "-c",
                     "COPY %s FROM STDIN (FORMAT csv, HEADER)" % table, stdin=rows)


class Proxy:
    """Stands before a server and counts what it sends back. `cut` ends all connections."""

    def __init__(self, port):
        self.to, self.bytes, self.pairs = port, 0, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                here = self.listener.accept()[0]
                there = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                return
            self.pairs.append((here, there))
            threading.Thread(target=self.pump, args=(here, there, False), daemon=True).start()
            threading.Thread(target=self.pump, args=(there, here, True), daemon=True).start()

    def pump(self, source, target, counts):
        try:
            while data := source.recv(1 << 16):
                self.bytes += len(data) if counts else 0
                target.sendall(data)
        except OSError:
            pass
        for end in source, target:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        for pair in self.pairs:
            for end in pair:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def close(self):
        self.listener.close()
        self.cut()
        for pair in self.pairs:
            for end in pair:
                end.close()
