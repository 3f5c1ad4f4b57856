#include "allocator.h"

#include <stdlib.h>

#if defined(__GLIBC__) || defined(__linux__)
#include <malloc.h>
#endif

void sluice_tune_allocator(unsigned arenas, unsigned trim_bytes) {
#if defined(__GLIBC__)
    // The largest threshold that glibc takes on 64-bit systems: half of an arena's heap. Where memory is so scarce that
    // little may stay unused, large blocks go back at once: kept in holes between others, bodies of 4 MB took three
    // times their memory.
    mallopt(M_MMAP_THRESHOLD, trim_bytes < 64 << 20 ? 1 << 20 : 32 << 20);
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

void *sluice_reallocate(void *block, size_t bytes) {
    void *grown = realloc(block, bytes > 0 ? bytes : 1);
    if (!grown) abort();
    return grown;
}

void sluice_release(void *block) { free(block); }

void sluice_trim_memory(void) {
#if defined(__GLIBC__)
    malloc_trim(0);
#endif
}
