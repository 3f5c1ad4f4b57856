#pragma once
#include "scan.h"

/// What `\` and `kind` stand for in a JSON string; 0 where that is no escape of one character.
static inline uint8_t sluice_json_escape(uint8_t kind) {
    static const uint8_t characters[256] = {
        ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['n'] = '\n',
        ['t'] = '\t', ['r'] = '\r',  ['b'] = '\b', ['f'] = '\f',
    };
    return characters[kind];
}

#if defined(__SSE2__)
/// One bit for each of 64 bytes that ends a plain run: `"`, `\` or a control character.
static inline uint64_t sluice_json_stops(const uint8_t *p) {
    uint64_t stops = 0;
    for (int part = 0; part < 4; part++) {
        __m128i hit = sluice_json_hits(_mm_loadu_si128((const __m128i *)(p + 16 * part)));
        stops |= (uint64_t)(unsigned)_mm_movemask_epi8(hit) << (16 * part);
    }
    return stops;
}

/// Copies `n` bytes in steps of 16, one at least: up to 16 more are read and written behind them.
static inline void sluice_json_copy(uint8_t *to, const uint8_t *from, ptrdiff_t n) {
    ptrdiff_t i = 0;
    do {
        _mm_storeu_si128((__m128i *)(to + i), _mm_loadu_si128((const __m128i *)(from + i)));
        i += 16;
    } while (i < n);
}
#endif

/// Decodes a JSON string from `*at` on, escapes of one character included, into `room` bytes at `out`. Stops, with
/// `*at` moved, before the closing quote, before what needs more care (a `\u`, a control character, an unknown escape),
/// at the end of the input or of the room. Returns how many bytes it wrote; those behind them in the room may be
/// overwritten.
static inline ptrdiff_t sluice_json_unescape(
    const uint8_t *p, ptrdiff_t *at, ptrdiff_t n, uint8_t *out, ptrdiff_t room) {
    ptrdiff_t i = *at, o = 0;
#if defined(__SSE2__)
    // Runs between the stops of 64 bytes are copied 16 bytes at a time, and what is too much is written over. A run
    // ends within the 64 bytes, so its copy ends within 16 more: 80 bytes have to be there, in and out. The byte behind
    // a last `\` is one of them.
    while (n - i >= 80 && room - o >= 80) {
        uint64_t stops = sluice_json_stops(p + i);
        ptrdiff_t run = 0;
        while (stops) {
            ptrdiff_t stop = __builtin_ctzll(stops);
            sluice_json_copy(out + o, p + i + run, stop - run);
            o += stop - run;
            uint8_t character = sluice_json_escape(p[i + stop + 1]);
            if (p[i + stop] != '\\' || !character) {
                *at = i + stop;
                return o;
            }
            out[o++] = character;
            run = stop + 2;
            // The escaped byte is no stop of its own.
            stops = run < 64 ? stops & ~(uint64_t)0 << run : 0;
        }
        if (run < 64) {
            sluice_json_copy(out + o, p + i + run, 64 - run);
            o += 64 - run;
            run = 64;
        }
        i += run;
    }
#endif
    while (o < room && i < n && p[i] != '"' && p[i] >= 0x20) {
        if (p[i] != '\\') {
            out[o++] = p[i++];
            continue;
        }
        uint8_t character = n - i < 2 ? 0 : sluice_json_escape(p[i + 1]);
        if (!character) break;
        out[o++] = character;
        i += 2;
    }
    *at = i;
    return o;
}
