#pragma once
#include <stddef.h>
#include <stdint.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/// Index of the first byte at or behind `i` that begins one of `count` pairs of lower-case ASCII letters, case ignored;
/// `n` when there is none.
static inline ptrdiff_t sluice_find_pair(
    const uint8_t *p, ptrdiff_t i, ptrdiff_t n, const uint8_t *pairs, ptrdiff_t count) {
#if defined(__SSE2__)
    const __m128i lower = _mm_set1_epi8(0x20);
    for (; i + 17 <= n; i += 16) {
        __m128i first = _mm_or_si128(_mm_loadu_si128((const __m128i *)(p + i)), lower);
        __m128i second = _mm_or_si128(_mm_loadu_si128((const __m128i *)(p + i + 1)), lower);
        __m128i hit = _mm_setzero_si128();
        for (ptrdiff_t k = 0; k < count; k++) {
            hit = _mm_or_si128(
                hit, _mm_and_si128(
                         _mm_cmpeq_epi8(first, _mm_set1_epi8((char)pairs[2 * k])),
                         _mm_cmpeq_epi8(second, _mm_set1_epi8((char)pairs[2 * k + 1]))));
        }
        int mask = _mm_movemask_epi8(hit);
        if (mask) return i + __builtin_ctz((unsigned)mask);
    }
#endif
    for (; i + 2 <= n; i++) {
        for (ptrdiff_t k = 0; k < count; k++) {
            if ((p[i] | 0x20) == pairs[2 * k] && (p[i + 1] | 0x20) == pairs[2 * k + 1]) return i;
        }
    }
    return n;
}

#if defined(__SSE2__)
/// 0xFF for each byte that ends a plain run of a JSON string: `"`, `\` or a control character.
static inline __m128i sluice_json_hits(__m128i v) {
    __m128i special = _mm_or_si128(
        _mm_cmpeq_epi8(v, _mm_set1_epi8('"')), _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
    return _mm_or_si128(special, _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1F)), v));
}
#endif

/// Index of the first byte at or behind `i` that ends a plain run of a JSON string: `"`, `\` or a control character;
/// `n` when there is none.
static inline ptrdiff_t sluice_json_plain_end(const uint8_t *p, ptrdiff_t i, ptrdiff_t n) {
#if defined(__SSE2__)
    // Most texts are short.
    if (i + 16 <= n) {
        int mask = _mm_movemask_epi8(sluice_json_hits(_mm_loadu_si128((const __m128i *)(p + i))));
        if (mask) return i + __builtin_ctz((unsigned)mask);
        i += 16;
    }
    // Long texts 64 bytes at a time; the hit itself is found below.
    for (; i + 64 <= n; i += 64) {
        __m128i any = _mm_setzero_si128();
        for (int part = 0; part < 64; part += 16) {
            any = _mm_or_si128(any, sluice_json_hits(_mm_loadu_si128((const __m128i *)(p + i + part))));
        }
        if (_mm_movemask_epi8(any)) break;
    }
    for (; i + 16 <= n; i += 16) {
        int mask = _mm_movemask_epi8(sluice_json_hits(_mm_loadu_si128((const __m128i *)(p + i))));
        if (mask) return i + __builtin_ctz((unsigned)mask);
    }
#endif
    for (; i < n; i++) {
        if (p[i] == '"' || p[i] == '\\' || p[i] < 0x20) return i;
    }
    return n;
}
