#pragma once
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include "bytes.h"

/// Numbers of JSON text in their usual spelling. C, because each of these is a handful of unchecked word operations
/// that must disappear into the caller.

/// Digits at the start of the eight bytes in `w` (first byte lowest), and their value.
static inline int sluice_digits8(uint64_t w, uint64_t *value) {
    uint64_t x = w ^ 0x3030303030303030ull;
    uint64_t other = (((x & 0x7F7F7F7F7F7F7F7Full) + 0x7676767676767676ull) | x) & 0x8080808080808080ull;
    int count = other ? __builtin_ctzll(other) >> 3 : 8;
    // Leading zeros take the place of what is no digit.
    x = count ? x << (64 - 8 * count) : 0;
    x = x * 10 + (x >> 8);
    x = ((x & 0x000000FF000000FFull) * 0x000F424000000064ull
         + ((x >> 16) & 0x000000FF000000FFull) * 0x0000271000000001ull) >> 32;
    *value = x & 0xFFFFFFFFull;
    return count;
}

/// Length of the digits at the start of `p`, at most 19, and their value: ten to the nineteenth fits into 64 bits.
static inline sluice_count sluice_digits(const uint8_t *p, sluice_count n, uint64_t *value) {
    static const uint64_t powers[9] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
    uint64_t result = 0, part = 0;
    sluice_count i = 0;
    while (i <= 8 && n - i >= 8) {
        int count = sluice_digits8(sluice_load64(p + i), &part);
        result = result * powers[count] + part;
        i += count;
        if (count < 8) {
            *value = result;
            return i;
        }
    }
    if (n - i >= 8) {
        int count = sluice_digits8(sluice_load64(p + i), &part);
        if (count <= 3) {
            *value = result * powers[count] + part;
            return i + count;
        }
    }
    for (; i < n && i < 19; i++) {
        unsigned digit = (unsigned)p[i] - '0';
        if (digit > 9) break;
        result = result * 10 + digit;
    }
    *value = result;
    return i;
}

/// The double nearest to `digits` / ten to the `places`, when that can be had by one division; false otherwise.
static inline bool sluice_divide10(uint64_t digits, int places, double *value) {
    static const double powers[23] = {
        1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (places == 0) {
        *value = (double)digits;
        return true;
    }
    if (places > 22) return false;
    if (digits <= 1ull << 53) {
        // Both are exact, so the quotient is rounded once (Clinger).
        *value = (double)digits / powers[places];
        return true;
    }
#if LDBL_MANT_DIG == 64
    // Both are exact in 64 bits of mantissa. Rounded again to 53 the result is the nearest double unless the first
    // rounding ended exactly between two of them, which the lower 11 bits tell.
    long double quotient = (long double)digits / (long double)powers[places];
    uint64_t mantissa;
    memcpy(&mantissa, &quotient, 8);
    if ((mantissa & 0x7FF) == 0x400) return false;
    *value = (double)quotient;
    return true;
#else
    return false;
#endif
}

/// Length of the JSON number at the start of `p` and its value, when it has no exponent and at most 19 digits, a zero
/// before the point not counted; 0 for all others, right or wrong.
static inline sluice_count sluice_json_double(const uint8_t *p, sluice_count n, double *value) {
    sluice_count i = 0;
    bool negative = n > 0 && p[0] == '-';
    if (negative) i = 1;
    uint64_t whole = 0, part = 0;
    sluice_count before = sluice_digits(p + i, n - i, &whole);
    if (before == 0 || (p[i] == '0' && before > 1)) return 0;
    i += before;
    sluice_count behind = 0;
    if (i < n && p[i] == '.') {
        behind = sluice_digits(p + i + 1, n - i - 1, &part);
        if (behind == 0) return 0;
        i += 1 + behind;
    }
    // What follows must be seen: a number that goes on is another one.
    if (i >= n || (whole == 0 ? 0 : before) + behind > 19) return 0;
    if ((unsigned)p[i] - '0' <= 9 || (p[i] | 0x20) == 'e') return 0;
    uint64_t digits = part;
    if (whole != 0) {
        if (behind >= 10) whole *= 10000000000ull;
        for (sluice_count k = behind % 10; k > 0; k--) whole *= 10;
        digits += whole;
    }
    double result;
    if (!sluice_divide10(digits, (int)behind, &result)) return 0;
    *value = negative ? -result : result;
    return i;
}
