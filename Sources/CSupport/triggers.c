#include "triggers.h"
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

void sluice_trigger_add(sluice_trigger_table *table, unsigned set, unsigned place, uint8_t byte) {
    if (set > 7 || place > 2) return;
    uint8_t bit = (uint8_t)(1u << set);
    table->exact[place][byte] |= bit;
    table->low[place][byte & 15] |= bit;
    table->high[place][byte >> 4] |= bit;
}

ptrdiff_t sluice_trigger_block_table(
    const sluice_trigger_table *table, const uint8_t *p, ptrdiff_t from, ptrdiff_t places, uint64_t *mask) {
    for (; from < places; from += 64) {
        ptrdiff_t count = places - from < 64 ? places - from : 64;
        uint64_t found = 0;
        for (ptrdiff_t i = 0; i < count; i++) {
            found |= (uint64_t)(sluice_trigger_sets(table, p + from + i) != 0) << i;
        }
        if (found) {
            *mask = found;
            return from;
        }
    }
    *mask = 0;
    return places;
}

#if defined(__x86_64__)
/// The sets that the bytes at 32 places may belong to.
__attribute__((target("avx2"))) static inline __m256i classes(__m256i bytes, __m256i low, __m256i high) {
    const __m256i half = _mm256_set1_epi8(15);
    __m256i lower = _mm256_shuffle_epi8(low, _mm256_and_si256(bytes, half));
    __m256i upper = _mm256_shuffle_epi8(high, _mm256_and_si256(_mm256_srli_epi16(bytes, 4), half));
    return _mm256_and_si256(lower, upper);
}

__attribute__((target("avx2"))) static inline __m256i both(const uint8_t *table) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)table));
}

__attribute__((target("avx2"))) static ptrdiff_t block_avx2(
    const sluice_trigger_table *table, const uint8_t *p, ptrdiff_t from, ptrdiff_t places, uint64_t *mask) {
    const __m256i low0 = both(table->low[0]), low1 = both(table->low[1]), low2 = both(table->low[2]);
    const __m256i high0 = both(table->high[0]), high1 = both(table->high[1]), high2 = both(table->high[2]);
    // A run reads two bytes beyond its last place, which are there because `places` leaves two.
    // The last places are looked at with some before them once more, or in a copy that has room behind them.
    uint8_t end[66] = {0};
    for (; from < places; from += 64) {
        const uint8_t *run = p + from;
        ptrdiff_t rest = places - from;
        if (rest < 64) {
            if (from >= 64) {
                // Some of them once more.
                run -= 64 - rest;
            } else if (rest <= 12) {
                return sluice_trigger_block_table(table, p, from, places, mask);
            } else {
                memcpy(end, run, (size_t)rest + 2);
                run = end;
            }
        }
        uint64_t found = 0;
        for (int half = 0; half < 2; half++) {
            const uint8_t *q = run + 32 * half;
            __m256i sets = classes(_mm256_loadu_si256((const __m256i *)q), low0, high0);
            sets = _mm256_and_si256(sets, classes(_mm256_loadu_si256((const __m256i *)(q + 1)), low1, high1));
            sets = _mm256_and_si256(sets, classes(_mm256_loadu_si256((const __m256i *)(q + 2)), low2, high2));
            uint32_t none = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(sets, _mm256_setzero_si256()));
            found |= (uint64_t)(uint32_t)~none << (32 * half);
        }
        if (rest < 64) found = from >= 64 ? found >> (64 - rest) : found & (~(uint64_t)0 >> (64 - rest));
        if (found) {
            *mask = found;
            return from;
        }
    }
    *mask = 0;
    return places;
}
#endif

ptrdiff_t sluice_trigger_block(
    const sluice_trigger_table *table, const uint8_t *p, ptrdiff_t from, ptrdiff_t places, uint64_t *mask) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) return block_avx2(table, p, from, places, mask);
#endif
    return sluice_trigger_block_table(table, p, from, places, mask);
}
