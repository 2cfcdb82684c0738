/* A disk that fails, for one process and one directory: preloaded into the router by tests/rig/src/disk.rs.
 *
 * The file named by WEFT_RIG_DISK holds eight bytes, a number (native order) whose bits say which calls fail with EIO from
 * now on: 1 syncs, 2 writes, 4 reads. It is mapped, so that a write to it is a failure at that instant. Only files below
 * WEFT_RIG_DISK_UNDER fail. A sync that fails has synced nothing, and a write that fails has written nothing. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SYNCS = 1, WRITES = 2, READS = 4 };

static uint64_t well;
static volatile uint64_t *failing = &well;
static const char *under;
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static ssize_t (*real_pwrite)(int, const void *, size_t, off64_t);
static ssize_t (*real_pread)(int, void *, size_t, off64_t);

__attribute__((constructor)) static void begin(void)
{
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_pread = dlsym(RTLD_NEXT, "pread64");
    const char *path = getenv("WEFT_RIG_DISK");
    under = getenv("WEFT_RIG_DISK_UNDER");
    int file = path && under ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *map = mmap(NULL, sizeof *failing, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (map != MAP_FAILED)
        failing = map;
}

static int fails(uint64_t call, int file)
{
    if (!(*failing & call))
        return 0;
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    if (strncmp(path, under, strlen(under)))
        return 0;
    errno = EIO;
    return 1;
}

int fsync(int file)
{
    return fails(SYNCS, file) ? -1 : real_fsync(file);
}

int fdatasync(int file)
{
    return fails(SYNCS, file) ? -1 : real_fdatasync(file);
}

ssize_t pwrite64(int file, const void *from, size_t count, off64_t at)
{
    return fails(WRITES, file) ? -1 : real_pwrite(file, from, count, at);
}

ssize_t pread64(int file, void *into, size_t count, off64_t at)
{
    return fails(READS, file) ? -1 : real_pread(file, into, count, at);
}

/* Offsets have 64 bits under both names here. */
ssize_t pwrite(int file, const void *from, size_t count, off_t at)
{
    return pwrite64(file, from, count, at);
}

ssize_t pread(int file, void *into, size_t count, off_t at)
{
    return pread64(file, into, count, at);
}
