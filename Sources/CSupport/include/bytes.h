#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/// Byte count as Swift sees it.
typedef ptrdiff_t sluice_count;

/// Whether two runs of `n` bytes are equal.
static inline bool sluice_equal(const void *a, const void *b, sluice_count n) {
    return memcmp(a, b, (size_t)n) == 0;
}

/// Index of the first `byte` in `[from, n)`, or -1.
static inline sluice_count sluice_find(const void *p, sluice_count from, sluice_count n, uint8_t byte) {
    if (from >= n) return -1;
    const void *hit = memchr((const char *)p + from, byte, (size_t)(n - from));
    return hit ? (const char *)hit - (const char *)p : -1;
}

static inline uint64_t sluice_load64(const void *p) {
    uint64_t w;
    memcpy(&w, p, 8);
    return w;
}

/// Mixes length, first, middle and last eight bytes of an attribute key. Ties are resolved by comparison, and the table
/// that uses it holds only our own names, so nobody outside can make its chains long.
static inline uint64_t sluice_key_hash(const uint8_t *p, sluice_count n) {
    uint64_t head = 0, tail = 0, middle = 0;
    if (n >= 8) {
        head = sluice_load64(p);
        tail = sluice_load64(p + n - 8);
        if (n >= 24) middle = sluice_load64(p + n / 2 - 4);
    } else {
        for (sluice_count i = 0; i < n; i++) head = head << 8 | p[i];
    }
    uint64_t h = (head ^ tail * 0x9E3779B97F4A7C15ull) * 0xFF51AFD7ED558CCDull;
    h ^= (middle ^ (uint64_t)n) * 0xC4CEB9FE1A85EC53ull;
    h ^= h >> 32;
    h *= 0x9E3779B97F4A7C15ull;
    return h ^ (h >> 29);
}
