#include "allocator.h"

#if defined(__GLIBC__) || defined(__linux__)
#include <malloc.h>
#endif

void sluice_tune_allocator(unsigned arenas, unsigned trim_bytes) {
#if defined(__GLIBC__)
    // The largest threshold that glibc takes on 64-bit systems: half of an arena's heap.
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, (int)trim_bytes);
    mallopt(M_ARENA_MAX, (int)arenas);
    // An arena grows by heaps of 64 MiB. With the default of 128 KiB, the newest is given back as soon as it is empty
    // and taken again by the next large body; with this, only when the one before it has so much room as well.
    mallopt(M_TOP_PAD, 8 << 20);
#else
    (void)arenas;
    (void)trim_bytes;
#endif
}
