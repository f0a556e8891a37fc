#!/usr/bin/python3
"""A real S3 server for one machine: Ceph's radosgw over one monitor and one storage daemon whose objects
lie in memory. It takes some 15 seconds to start and listens on loopback only.

In Python: `with Radosgw() as server:`, server.endpoint, ACCESS and SECRET. In a shell: `radosgw.py COMMAND...`
runs a command with AWS_ENDPOINT_URL and the keys in its environment, and ends the server behind it."""
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid

ACCESS, SECRET = "testaccess", "testsecret"
PROGRAMS = ("ceph-mon", "ceph-osd", "monmaptool", "ceph", "radosgw", "radosgw-admin")
MEMORY = 2 << 30  # for objects

CONFIGURATION = """
[global]
fsid = {cluster}
mon host = v1:127.0.0.1:{monitor}
public addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon data avail crit = 1
mon data avail warn = 2
osd objectstore = memstore
memstore device bytes = {memory}
run dir = {folder}/run
admin socket = {folder}/run/$name.asok
log file = {folder}/$name.log
mon data = {folder}/mon
osd data = {folder}/osd
[client.rgw.a]
rgw data = {folder}/rgw
"""


def missing():
    """Programs that are not installed."""
    return [name for name in PROGRAMS if not shutil.which(name)]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Radosgw:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="opiml-radosgw-")
        self.file = os.path.join(self.folder, "ceph.conf")
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.processes = []
        self.again = 5  # times that the storage daemon is started anew

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
        for process in reversed(self.processes):
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, *command):
        """A command that ends; its output belongs to the failure."""
        run = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, timeout=60)
        if run.returncode:
            raise RuntimeError(f"{' '.join(command[:4])}: {run.stdout.strip()[-800:]}")

    def _daemon(self, *command):
        """One in the foreground, so that it is ours to end."""
        with open(os.path.join(self.folder, command[0] + ".log"), "ab") as log:
            self.processes.append(subprocess.Popen([*command, "-f"], stdin=subprocess.DEVNULL, stdout=log, stderr=log))

    def _said(self, daemon):
        """The end of what it has said."""
        with open(os.path.join(self.folder, daemon + ".log"), encoding="utf-8", errors="replace") as log:
            return log.read()[-2000:].strip()

    def _try_again(self):
        """A storage daemon that asks the monitor for something before it has heard of which cluster it is gets
        "wrong fsid" for an answer, and ends."""
        ended = next(process for process in self.processes if process.args[0] == "ceph-osd")
        if self.again == 0 or "wrong fsid" not in self._said("ceph-osd"):
            return False
        self.again -= 1
        self.processes.remove(ended)
        self._daemon(*ended.args[:-1])
        return True

    def _until(self, what, attempt, seconds=60):
        end = time.monotonic() + seconds
        while True:
            try:
                return attempt()
            except (OSError, RuntimeError, subprocess.TimeoutExpired) as problem:
                ended = [process.args[0] for process in self.processes if process.poll() is not None]
                if ended == ["ceph-osd"] and self._try_again():
                    continue
                if ended or time.monotonic() > end:
                    why = f"{ended[0]} has ended: {self._said(ended[0])}" if ended else problem
                    raise RuntimeError(f"radosgw: {what} does not answer: {why}") from problem
            time.sleep(0.2)

    def _start(self):
        cluster, disk, map_file = str(uuid.uuid4()), str(uuid.uuid4()), os.path.join(self.folder, "map")
        monitor = free_port()
        for name in ("run", "mon", "osd", "rgw"):
            os.mkdir(os.path.join(self.folder, name))
        with open(self.file, "w", encoding="ascii") as file:
            file.write(CONFIGURATION.format(cluster=cluster, monitor=monitor, memory=MEMORY, folder=self.folder))
        ours = ("-c", self.file)
        self._run("monmaptool", "--create", "--addv", "a", f"[v1:127.0.0.1:{monitor}]", "--fsid", cluster, map_file)
        self._run("ceph-mon", *ours, "--mkfs", "-i", "a", "--monmap", map_file)
        self._daemon("ceph-mon", *ours, "-i", "a")
        self._until("the monitor", lambda: self._run("ceph", *ours, "--connect-timeout", "2", "-s"))
        self._run("ceph", *ours, "osd", "new", disk)
        self._run("ceph-osd", *ours, "-i", "0", "--mkfs", "--osd-uuid", disk)
        self._daemon("ceph-osd", *ours, "-i", "0")
        self._until("the storage daemon", lambda: self._run("ceph", *ours, "osd", "crush", "add", "osd.0", "1",
                                                            "host=h", "root=default"))
        self._daemon("radosgw", *ours, "-n", "client.rgw.a", "--rgw-frontends",
                     f"beast endpoint=127.0.0.1:{self.port}")
        self._until("the gateway", lambda: socket.create_connection(("127.0.0.1", self.port), 2).close(), 180)
        self._run("radosgw-admin", *ours, "user", "create", "--uid=test", "--display-name=test",
                  f"--access-key={ACCESS}", f"--secret={SECRET}")


def main(command):
    absent = missing()
    if absent:
        print(f"skipped: no {absent[0]} (packages ceph-mon, ceph-osd, ceph-common, radosgw)")
        return 77
    with Radosgw() as server:
        return subprocess.call(command, env=dict(os.environ, AWS_ENDPOINT_URL=server.endpoint,
                                                 AWS_ACCESS_KEY_ID=ACCESS, AWS_SECRET_ACCESS_KEY=SECRET,
                                                 AWS_REGION="us-east-1"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
