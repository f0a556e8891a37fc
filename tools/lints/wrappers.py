"""A third-party header stands only in the .c file that wraps it (tools/wrappers.txt)"""

# The C library, the compiler and the kernel: not third parties.
OURS = set("""
    aio.h alloca.h assert.h byteswap.h complex.h ctype.h dirent.h dlfcn.h elf.h endian.h err.h
    errno.h execinfo.h fcntl.h features.h fenv.h float.h fnmatch.h fts.h ftw.h getopt.h glob.h grp.h
    ifaddrs.h inttypes.h iso646.h langinfo.h libgen.h limits.h link.h locale.h malloc.h math.h
    mqueue.h netdb.h poll.h pthread.h pwd.h regex.h sched.h semaphore.h setjmp.h signal.h spawn.h
    stdalign.h stdarg.h stdatomic.h stdbool.h stddef.h stdint.h stdio.h stdlib.h stdnoreturn.h
    string.h strings.h syscall.h sysexits.h syslog.h termios.h threads.h time.h uchar.h ucontext.h
    unistd.h utime.h wchar.h wctype.h
    arm_acle.h arm_neon.h arm_sve.h cpuid.h emmintrin.h immintrin.h nmmintrin.h smmintrin.h
    tmmintrin.h x86intrin.h xmmintrin.h
""".split())
OUR_FOLDERS = ("arpa/", "asm/", "bits/", "linux/", "net/", "netinet/", "sanitizer/", "sys/", "opiml/")


def check(tree):
    wrappers = dict(tree.table("tools/wrappers.txt"))
    users = {}
    findings = []
    for name in tree.files(".c", ".h", ".inc", under=("src/", "app/", "include/")):
        for line, bracket, header in tree.includes(name):
            if bracket != "<" or header.startswith(OUR_FOLDERS):
                continue
            if header in wrappers:
                users.setdefault(header, []).append((name, line))
            elif header not in OURS:
                findings.append(f"{name}:{line}: <{header}> is not in tools/wrappers.txt")
    for header, places in sorted(users.items()):
        wrapper = wrappers[header]
        for name, line in places:
            if not name.endswith(".c"):
                findings.append(f"{name}:{line}: <{header}> belongs in a .c file")
            elif wrapper == "*" and name != places[0][0]:
                findings.append(f"{name}:{line}: <{header}> is wrapped by {places[0][0]} already")
            elif wrapper != "*" and name not in wrapper.split():
                findings.append(f"{name}:{line}: <{header}> is wrapped by {wrapper}")
    return findings
