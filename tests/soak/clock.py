"""A clock that is set forward or back for one host's programs: what `date --set` does, without touching this machine's.

A small library is put before libc (LD_PRELOAD) and adds the seconds that a file holds. It needs a C compiler; without
one there is no such fault.
"""

import shutil
import subprocess
from pathlib import Path

SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static volatile long *offset;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("SOAK_CLOCK");
    int file = path ? open(path, O_RDONLY) : -1;
    if (file < 0) return;
    void *map = mmap(0, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
    if (map != MAP_FAILED) offset = map;
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int code = real(clock, now);
    if (!code && offset && clock == CLOCK_REALTIME) now->tv_sec += *offset;
    return code;
}
"""


class Clock:
    """`environment` for the programs that see it; `jump` sets it."""

    def __init__(self, folder: Path) -> None:
        self.file, self.library = folder / "clock", folder / "clock.so"
        self.file.write_bytes((0).to_bytes(8, "little"))
        self.there = shutil.which("cc") is not None
        if self.there:
            source = folder / "clock.c"
            source.write_text(SOURCE)
            subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", self.library, source, "-ldl"], check=True)

    @property
    def environment(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self.library), "SOAK_CLOCK": str(self.file)} if self.there else {}

    def jump(self, seconds: int) -> None:
        with open(self.file, "r+b") as file:
            file.write(seconds.to_bytes(8, "little", signed=True))
