"""A file system in user space that shows a folder and makes trouble, for tests: the kernel's FUSE protocol as
linux/fuse.h has it, without a library. Mounts are made in a mount namespace of the test's own process, and go
with it."""
import ctypes
import errno
import os
import stat
import struct
import threading

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_NOSUID, MS_NODEV, MS_REC, MS_PRIVATE = 2, 4, 0x4000, 1 << 18
MNT_FORCE, MNT_DETACH = 1, 2
LOOKUP, FORGET, GETATTR, OPEN, READ, STATFS, RELEASE, INIT, OPENDIR, READDIR, RELEASEDIR, INTERRUPT, BATCH_FORGET = \
    1, 2, 3, 14, 15, 17, 18, 26, 27, 28, 29, 36, 42
HEADER = struct.Struct("<IIQQIIII")


def call(name, *arguments):
    if getattr(LIBC, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def mount(kind, target, options=""):
    call("mount", kind.encode(), target.encode(), kind.encode(), MS_NOSUID | MS_NODEV, options.encode())


def unmount(target, flags=MNT_DETACH):
    call("umount2", target.encode(), flags)


def enter_namespace():
    """Mounts from now on are seen by this process and its children only. OSError where that is not allowed."""
    uid, gid = os.getuid(), os.getgid()
    if uid == 0:
        call("unshare", CLONE_NEWNS)
    else:
        call("unshare", CLONE_NEWNS | CLONE_NEWUSER)
        for name, text in ("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1"):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    call("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)


class Filer:
    """`folder` as seen at `target`. `instead(operation, path)` may return an errno, sleep or block before an
    operation is carried out; 0: go on. `seen` counts operations."""

    def __init__(self, folder, target, threads=8):
        self.folder, self.target, self.instead = folder, target, lambda operation, path: 0
        self.seen, self.lock = {}, threading.Lock()
        self.paths, self.nodes, self.handles = {1: ""}, {"": 1}, {}
        self.fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        mount("fuse", target, f"fd={self.fd},rootmode=40000,user_id=0,group_id=0,allow_other")
        self.threads = [threading.Thread(target=self.serve, daemon=True) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def die(self):
        """As if the server had been killed: all that is asked of it fails from now on."""
        try:
            unmount(self.target, MNT_FORCE)
        except OSError:
            pass  # in use, but cut off
        for thread in self.threads:
            thread.join()
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1

    def close(self):
        self.die()
        try:
            unmount(self.target)
        except OSError:
            pass  # gone already

    def serve(self):
        while True:
            try:
                request = os.read(self.fd, 1 << 18)
            except OSError as why:
                if why.errno in (errno.ENOENT, errno.EINTR, errno.EAGAIN):
                    continue
                return
            _, operation, unique, node, *_ = HEADER.unpack_from(request)
            if operation in (FORGET, BATCH_FORGET, INTERRUPT):
                continue
            try:
                code, answer = 0, self.answer(operation, node, request[HEADER.size:])
            except OSError as why:
                code, answer = why.errno, b""
            try:
                os.write(self.fd, struct.pack("<IiQ", 16 + len(answer), -code, unique) + answer)
            except OSError:
                pass  # who asked has gone

    def answer(self, operation, node, body):
        if operation == INIT:
            return struct.pack("<IIIIHHIIHHI28x", 7, 31, 1 << 17, 0, 64, 48, 1 << 17, 1, 32, 0, 0)
        path = self.paths[node]
        if operation == LOOKUP:
            path = os.path.join(path, os.fsdecode(body.rstrip(b"\0")))
        with self.lock:
            self.seen[operation] = self.seen.get(operation, 0) + 1
        code = self.instead(operation, path)
        if code:
            raise OSError(code, "")
        real = os.path.join(self.folder, path)
        if operation == LOOKUP:
            attributes = self.attributes(real)
            with self.lock:
                node = self.nodes.setdefault(path, len(self.nodes) + 1)
                self.paths[node] = path
            return struct.pack("<QQQQII", node, 0, 0, 0, 0, 0) + attributes
        if operation == GETATTR:
            return struct.pack("<QII", 0, 0, 0) + self.attributes(real)
        if operation in (OPEN, OPENDIR):
            return struct.pack("<QII", 0, 1 if operation == OPEN else 0, 0)  # nothing is kept by the kernel
        if operation == READ:
            _, offset, size = struct.unpack_from("<QQI", body)
            with open(real, "rb") as file:
                return os.pread(file.fileno(), size, offset)
        if operation == READDIR:
            _, offset, size = struct.unpack_from("<QQI", body)
            return self.names(real, offset, size)
        if operation in (RELEASE, RELEASEDIR):
            return b""
        if operation == STATFS:
            return struct.pack("<QQQQQIIII24x", 1 << 20, 1 << 19, 1 << 19, 1 << 20, 1 << 19, 4096, 255, 4096, 0)
        raise OSError(errno.ENOSYS, "")

    @staticmethod
    def attributes(real):
        at = os.stat(real)
        whole, parts = divmod(at.st_mtime_ns, 10 ** 9)
        return struct.pack("<QQQQQQIIIIIIIIII", at.st_ino, at.st_size, at.st_blocks, whole, whole, whole, parts, parts,
                           parts, at.st_mode, at.st_nlink, at.st_uid, at.st_gid, 0, 4096, 0)

    @staticmethod
    def names(real, offset, size):
        answer = b""
        for number, name in list(enumerate(sorted(os.listdir(real)), 1))[offset:]:
            raw, at = os.fsencode(name), os.stat(os.path.join(real, name))
            entry = struct.pack("<QQII", at.st_ino, number, len(raw), stat.S_IFMT(at.st_mode) >> 12) + raw
            entry += bytes(-len(entry) % 8)
            if len(answer) + len(entry) > size:
                break
            answer += entry
        return answer
