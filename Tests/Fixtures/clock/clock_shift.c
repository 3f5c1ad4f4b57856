/* Shifts the wall clock of one process, and no other clock of it, by the seconds that a file holds at that moment.

   cc -shared -fPIC -o clock_shift.so clock_shift.c
   LD_PRELOAD=./clock_shift.so CLOCK_SHIFT_FILE=shift PROGRAM       shift: 8 bytes, a number as the machine has it

   Unlike libfaketime it has no constructor and starts no thread. Waits for a time of the wall clock are the kernel's
   and see no shift. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const int64_t none;
static _Atomic(const _Atomic int64_t *) place;

static const _Atomic int64_t *find(void) {
    const char *path = getenv("CLOCK_SHIFT_FILE");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return (const _Atomic int64_t *)&none;
    void *pages = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    close(file);
    return pages == MAP_FAILED ? (const _Atomic int64_t *)&none : pages;
}

static time_t shift(void) {
    const _Atomic int64_t *known = atomic_load(&place);
    if (!known) {
        int before = errno;
        known = find();
        /* Another thread may have mapped it too: both see the same file. */
        atomic_store(&place, known);
        errno = before;
    }
    return (time_t)atomic_load(known);
}

int clock_gettime(clockid_t id, struct timespec *now) {
    if (syscall(SYS_clock_gettime, id, now) != 0) return -1;
    if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE) now->tv_sec += shift();
    return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    if (syscall(SYS_gettimeofday, now, zone) != 0) return -1;
    now->tv_sec += shift();
    return 0;
}

time_t time(time_t *now) {
    struct timespec precise;
    if (clock_gettime(CLOCK_REALTIME, &precise) != 0) return (time_t)-1;
    if (now) *now = precise.tv_sec;
    return precise.tv_sec;
}
