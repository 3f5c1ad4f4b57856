#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "bytes.h"
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/// Whether `n` bytes are well-formed UTF-8 (Unicode 15, table 3-7). Slow path, from the first byte that is not ASCII.
bool sluice_is_utf8_slow(const uint8_t *p, size_t n);

/// Whether `n` bytes are well-formed UTF-8. ASCII goes 64 or 16 bytes at a time, the last of them overlapping.
static inline bool sluice_is_utf8(const uint8_t *p, ptrdiff_t count) {
    const uint64_t high = 0x8080808080808080ull;
    size_t n = (size_t)count, i = 0;
    if (n < 16) {
        uint64_t bits = 0;
        if (n >= 8) {
            bits = sluice_load64(p) | sluice_load64(p + n - 8);
        } else if (n >= 4) {
            bits = sluice_load32(p) | sluice_load32(p + n - 4);
        } else if (n > 0) {
            bits = (uint64_t)(p[0] | p[n / 2] | p[n - 1]);
        }
        return (bits & high) == 0 || sluice_is_utf8_slow(p, n);
    }
#if defined(__SSE2__)
    for (; i + 64 <= n; i += 64) {
        __m128i a = _mm_loadu_si128((const __m128i *)(p + i)), b = _mm_loadu_si128((const __m128i *)(p + i + 16));
        __m128i c = _mm_loadu_si128((const __m128i *)(p + i + 32)), d = _mm_loadu_si128((const __m128i *)(p + i + 48));
        __m128i all = _mm_or_si128(_mm_or_si128(a, b), _mm_or_si128(c, d));
        if (_mm_movemask_epi8(all) != 0) return sluice_is_utf8_slow(p + i, n - i);
    }
    __m128i rest = _mm_loadu_si128((const __m128i *)(p + n - 16));
    for (size_t at = i; at + 16 < n; at += 16) {
        rest = _mm_or_si128(rest, _mm_loadu_si128((const __m128i *)(p + at)));
    }
    return _mm_movemask_epi8(rest) == 0 || sluice_is_utf8_slow(p + i, n - i);
#else
    uint64_t rest = sluice_load64(p + n - 8);
    for (; i + 8 < n; i += 8) {
        if (sluice_load64(p + i) & high) return sluice_is_utf8_slow(p + i, n - i);
    }
    return (rest & high) == 0 || sluice_is_utf8_slow(p + i, n - i);
#endif
}

/// The same without a call for the texts that most attributes have: ASCII of up to 32 bytes.
static inline __attribute__((always_inline)) bool sluice_is_short_utf8(const uint8_t *p, ptrdiff_t count) {
    const uint64_t high = 0x8080808080808080ull;
    size_t n = (size_t)count;
    if (n >= 8 && n < 16) {
        if (((sluice_load64(p) | sluice_load64(p + n - 8)) & high) == 0) return true;
    } else if (n < 8) {
        if (n >= 4) {
            if (((sluice_load32(p) | sluice_load32(p + n - 4)) & high) == 0) return true;
        } else if (n == 0 || (p[0] | p[n / 2] | p[n - 1]) < 0x80) {
            return true;
        }
    } else if (n <= 32) {
#if defined(__SSE2__)
        __m128i all = _mm_or_si128(
            _mm_loadu_si128((const __m128i *)p), _mm_loadu_si128((const __m128i *)(p + n - 16)));
        if (_mm_movemask_epi8(all) == 0) return true;
#else
        uint64_t ends = sluice_load64(p + n - 16) | sluice_load64(p + n - 8);
        if (((sluice_load64(p) | sluice_load64(p + 8) | ends) & high) == 0) return true;
#endif
    }
    return sluice_is_utf8(p, count);
}
