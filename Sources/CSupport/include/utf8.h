#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/// Whether `n` bytes are well-formed UTF-8 (Unicode 15, table 3-7). Slow path, from the first byte that is not ASCII.
bool sluice_is_utf8_slow(const uint8_t *p, size_t n);

/// Whether `n` bytes are well-formed UTF-8. ASCII runs go 16 bytes at a time.
static inline bool sluice_is_utf8(const uint8_t *p, ptrdiff_t count) {
    size_t n = (size_t)count, i = 0;
#if defined(__SSE2__)
    for (; i + 16 <= n; i += 16) {
        if (_mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(p + i))) != 0) return sluice_is_utf8_slow(p + i, n - i);
    }
#endif
    for (; i + 8 <= n; i += 8) {
        uint64_t w;
        memcpy(&w, p + i, 8);
        if (w & 0x8080808080808080ull) return sluice_is_utf8_slow(p + i, n - i);
    }
    for (; i < n; i++) {
        if (p[i] & 0x80) return sluice_is_utf8_slow(p + i, n - i);
    }
    return true;
}
