#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/// Byte count as Swift sees it.
typedef ptrdiff_t sluice_count;

static inline uint64_t sluice_load64(const void *p) {
    uint64_t w;
    memcpy(&w, p, 8);
    return w;
}

static inline uint32_t sluice_load32(const void *p) {
    uint32_t w;
    memcpy(&w, p, 4);
    return w;
}

#if defined(__SSE2__)
/// 16 bytes of ones where two runs are equal, of zeros where they are not.
static inline __attribute__((always_inline)) __m128i sluice_matches16(const void *a, const void *b) {
    return _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)a), _mm_loadu_si128((const __m128i *)b));
}

static inline bool sluice_equal16(const void *a, const void *b) {
    return _mm_movemask_epi8(sluice_matches16(a, b)) == 0xFFFF;
}
#endif

/// Whether two runs of `n` bytes are equal. Short ones, as attribute keys are, take no call: the last words overlap.
static inline bool sluice_equal(const void *a, const void *b, sluice_count n) {
    const uint8_t *p = (const uint8_t *)a, *q = (const uint8_t *)b;
    if (n > 64) return memcmp(a, b, (size_t)n) == 0;
#if defined(__SSE2__)
    if (n >= 16) {
        for (sluice_count i = 0; i + 16 < n; i += 16) {
            if (!sluice_equal16(p + i, q + i)) return false;
        }
        return sluice_equal16(p + n - 16, q + n - 16);
    }
#endif
    if (n >= 8) {
        for (sluice_count i = 0; i + 8 < n; i += 8) {
            if (sluice_load64(p + i) != sluice_load64(q + i)) return false;
        }
        return sluice_load64(p + n - 8) == sluice_load64(q + n - 8);
    }
    if (n >= 4) {
        return sluice_load32(p) == sluice_load32(q) && sluice_load32(p + n - 4) == sluice_load32(q + n - 4);
    }
    for (sluice_count i = 0; i < n; i++) {
        if (p[i] != q[i]) return false;
    }
    return true;
}

/// The same without a call for the lengths that attribute keys have: 8 to 32 bytes.
static inline __attribute__((always_inline)) bool sluice_equal_key(const void *a, const void *b, sluice_count n) {
    const uint8_t *p = (const uint8_t *)a, *q = (const uint8_t *)b;
    if (n < 8 || n > 32) return sluice_equal(a, b, n);
    if (n < 16) {
        uint64_t tails = sluice_load64(p + n - 8) ^ sluice_load64(q + n - 8);
        return ((sluice_load64(p) ^ sluice_load64(q)) | tails) == 0;
    }
#if defined(__SSE2__)
    __m128i head = sluice_matches16(p, q), tail = sluice_matches16(p + n - 16, q + n - 16);
    return _mm_movemask_epi8(_mm_and_si128(head, tail)) == 0xFFFF;
#else
    return sluice_equal(a, b, n);
#endif
}

/// Copies `n` bytes between places that do not overlap. Short runs, as most texts of telemetry are, take no call.
static inline void sluice_copy(void *to, const void *from, sluice_count n) {
    uint8_t *d = (uint8_t *)to;
    const uint8_t *s = (const uint8_t *)from;
    if (n > 32) {
        memcpy(to, from, (size_t)n);
    } else if (n >= 16) {
        // Both ends, overlapping in the middle.
        uint64_t a = sluice_load64(s), b = sluice_load64(s + 8);
        uint64_t c = sluice_load64(s + n - 16), e = sluice_load64(s + n - 8);
        memcpy(d, &a, 8);
        memcpy(d + 8, &b, 8);
        memcpy(d + n - 16, &c, 8);
        memcpy(d + n - 8, &e, 8);
    } else if (n >= 8) {
        uint64_t a = sluice_load64(s), b = sluice_load64(s + n - 8);
        memcpy(d, &a, 8);
        memcpy(d + n - 8, &b, 8);
    } else if (n >= 4) {
        uint32_t a = sluice_load32(s), b = sluice_load32(s + n - 4);
        memcpy(d, &a, 4);
        memcpy(d + n - 4, &b, 4);
    } else {
        for (sluice_count i = 0; i < n; i++) d[i] = s[i];
    }
}

/// The same where 32 bytes may be written at `to` and `left` can be read at `from`: up to 32 bytes are copied without a
/// look at how many they are.
static inline void sluice_copy_loose(void *to, const void *from, sluice_count n, sluice_count left) {
#if defined(__SSE2__)
    if (n <= 32 && left >= 32) {
        const __m128i *s = (const __m128i *)from;
        __m128i a = _mm_loadu_si128(s), b = _mm_loadu_si128(s + 1);
        _mm_storeu_si128((__m128i *)to, a);
        _mm_storeu_si128((__m128i *)to + 1, b);
        return;
    }
#endif
    sluice_copy(to, from, n);
}

/// Index of the first `byte` in `[from, n)`, or -1.
static inline sluice_count sluice_find(const void *p, sluice_count from, sluice_count n, uint8_t byte) {
    if (from >= n) return -1;
    const void *hit = memchr((const char *)p + from, byte, (size_t)(n - from));
    return hit ? (const char *)hit - (const char *)p : -1;
}

/// Index of the first place in `[from, n)` where all `m` bytes of `needle` lie, or -1; none of an empty needle.
static inline sluice_count sluice_find_bytes(
    const void *p, sluice_count from, sluice_count n, const void *needle, sluice_count m) {
    if (m <= 0) return -1;
    while (n - from >= m) {
        sluice_count at = sluice_find(p, from, n - m + 1, *(const uint8_t *)needle);
        if (at < 0 || memcmp((const char *)p + at, needle, (size_t)m) == 0) return at;
        from = at + 1;
    }
    return -1;
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

/// Value of a hex digit of either case, 16 or more for any other byte.
static inline unsigned sluice_hex_value(uint8_t byte) {
    unsigned digit = (unsigned)byte - '0';
    if (digit <= 9) return digit;
    unsigned letter = ((unsigned)byte | 0x20) - 'a';
    return letter <= 5 ? letter + 10 : 16;
}

#if defined(__SSE2__)
/// Decodes 16 hex digits into 8 bytes; false when one of them is none. Ids are the most frequent strings of JSON, and
/// digit by digit they took a tenth of the time of a request.
static inline bool sluice_hex_decode16(const uint8_t *p, uint8_t *out) {
    __m128i v = _mm_loadu_si128((const __m128i *)p);
    __m128i digit = _mm_sub_epi8(v, _mm_set1_epi8('0'));
    __m128i letter = _mm_sub_epi8(_mm_or_si128(v, _mm_set1_epi8(0x20)), _mm_set1_epi8('a'));
    __m128i is_digit = _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(9)), digit);
    __m128i is_letter = _mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8(5)), letter);
    if (_mm_movemask_epi8(_mm_or_si128(is_digit, is_letter)) != 0xFFFF) return false;
    letter = _mm_add_epi8(letter, _mm_set1_epi8(10));
    __m128i value = _mm_or_si128(_mm_and_si128(is_digit, digit), _mm_andnot_si128(is_digit, letter));
    // The first digit of a pair is the lower byte of a 16-bit lane and the upper half of the result.
    __m128i pairs = _mm_or_si128(_mm_slli_epi16(value, 4), _mm_srli_epi16(value, 8));
    pairs = _mm_and_si128(pairs, _mm_set1_epi16(0xFF));
    _mm_storel_epi64((__m128i *)out, _mm_packus_epi16(pairs, pairs));
    return true;
}
#endif

/// Decodes pairs of hex digits out of `n` bytes until one is not a pair; the number of bytes written to `out`.
static inline sluice_count sluice_hex_decode(const void *text, sluice_count n, void *out) {
    const uint8_t *p = (const uint8_t *)text;
    uint8_t *o = (uint8_t *)out;
    sluice_count i = 0;
#if defined(__SSE2__)
    while (2 * i + 16 <= n && sluice_hex_decode16(p + 2 * i, o + i)) i += 8;
#endif
    for (; 2 * i + 1 < n; i++) {
        unsigned high = sluice_hex_value(p[2 * i]), low = sluice_hex_value(p[2 * i + 1]);
        if ((high | low) > 15) break;
        o[i] = (uint8_t)(high << 4 | low);
    }
    return i;
}
