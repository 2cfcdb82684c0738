/* The wall clock of one process, moved by a file: preloaded into the router by tests/rig/src/clock.rs.
 *
 * The file named by WEFT_RIG_CLOCK holds eight bytes, the nanoseconds (signed, native order) that are added to the wall
 * clock. It is mapped, so that a write to it is a jump at that instant, without a call into the process.
 *
 * What jumps is what jumps on a real machine: CLOCK_REALTIME and its kin, and waits with a deadline on that clock, which
 * end early after a jump forwards and go on after one backwards. The monotonic clocks do not move. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL
/* How soon a wait sees a jump. */
#define SLICE (20 * 1000000LL)
/* A deadline below this is one of a clock that counts from the start of the machine: it is left alone. */
#define WALL_FROM 1000000000LL

static int64_t resting;
static volatile int64_t *offset = &resting;
static int (*real_clock)(clockid_t, struct timespec *);
static int (*real_wait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);

static void *next(const char *name, const char *version)
{
    void *found = dlvsym(RTLD_NEXT, name, version);
    return found ? found : dlsym(RTLD_NEXT, name);
}

__attribute__((constructor)) static void begin(void)
{
    real_clock = next("clock_gettime", "GLIBC_2.17");
    real_wait = next("pthread_cond_timedwait", "GLIBC_2.3.2");
    const char *path = getenv("WEFT_RIG_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *map = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (map != MAP_FAILED)
        offset = map;
}

static int64_t nanos(const struct timespec *at)
{
    return (int64_t)at->tv_sec * SECOND + at->tv_nsec;
}

static struct timespec spec(int64_t at)
{
    return (struct timespec){ .tv_sec = at / SECOND, .tv_nsec = at % SECOND };
}

/* Before our constructor others may ask for the time. */
static int read_clock(clockid_t clock, struct timespec *at)
{
    return real_clock ? real_clock(clock, at) : (int)syscall(SYS_clock_gettime, clock, at);
}

int clock_gettime(clockid_t clock, struct timespec *at)
{
    int failed = read_clock(clock, at);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI))
        *at = spec(nanos(at) + *offset);
    return failed;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now))
        return -1;
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at)
{
    struct timespec now = { 0 };
    clock_gettime(CLOCK_REALTIME, &now);
    if (at)
        *at = now.tv_sec;
    return now.tv_sec;
}

int timespec_get(struct timespec *at, int base)
{
    return base == TIME_UTC && !clock_gettime(CLOCK_REALTIME, at) ? base : 0;
}

int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict lock,
                           const struct timespec *restrict until)
{
    if (until->tv_sec < WALL_FROM)
        return real_wait(cond, lock, until);
    struct timespec now;
    read_clock(CLOCK_REALTIME, &now);
    int64_t left = nanos(until) - (nanos(&now) + *offset);
    struct timespec slice = spec(nanos(&now) + (left < 0 ? 0 : left < SLICE ? left : SLICE));
    int ended = real_wait(cond, lock, &slice);
    /* Early means woken for nothing, which every caller has to expect: it looks again at what it waits for, as it must,
     * since a signal may have come while the slice ended. */
    return ended == ETIMEDOUT && left > SLICE ? 0 : ended;
}

/* libc's own goes past the function above. The types are one and the same there. */
int cnd_timedwait(cnd_t *restrict cond, mtx_t *restrict lock, const struct timespec *restrict until)
{
    switch (pthread_cond_timedwait((pthread_cond_t *)cond, (pthread_mutex_t *)lock, until)) {
    case 0:
        return thrd_success;
    case ETIMEDOUT:
        return thrd_timedout;
    default:
        return thrd_error;
    }
}
