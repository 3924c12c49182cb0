#include "base/clock.h"
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* Wall time minus real time: 0 but in tests. */
static _Atomic int64_t own_shift;
static _Atomic int64_t *_Atomic shift = &own_shift;

uint64_t gate_clock_mono_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t gate_clock_wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    _Atomic int64_t *ahead = atomic_load_explicit(&shift, memory_order_relaxed);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 +
           (uint64_t)atomic_load_explicit(ahead, memory_order_relaxed);
}

void gate_clock_shift(int64_t ms)
{
    atomic_store(atomic_load(&shift), ms);
}

bool gate_clock_follow(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    void *shared = MAP_FAILED;
    if (lseek(fd, 0, SEEK_END) >= (off_t)sizeof(int64_t))
        shared = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (shared == MAP_FAILED)
        return false;
    atomic_store(&shift, shared);
    return true;
}
