#include "crc32c.h"

#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

// Slicing by 8: table[k][b] is the checksum of byte b followed by k zero bytes.
static uint32_t table[8][256];

// The instructions take three cycles each and can start one per cycle, so three parts are summed side by side and put
// together: over_long[k][b] is what byte k of a sum with the value b becomes when `LONG_PART` zero bytes follow.
#define LONG_PART 4096
#define SHORT_PART 256
static uint32_t over_long[4][256];
static uint32_t over_short[4][256];

static uint64_t load_little(const uint8_t *p) {
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--) value = value << 8 | p[i];
    return value;
}

static uint32_t after_word(uint32_t state, uint64_t word) {
    word ^= state;
    state = 0;
    for (int k = 0; k < 8; k++) state ^= table[7 - k][(word >> (8 * k)) & 0xFF];
    return state;
}

static void fill_over(uint32_t over[4][256], int bytes) {
    for (int bit = 0; bit < 32; bit++) {
        uint32_t state = 1u << bit;
        for (int i = 0; i < bytes; i += 8) state = after_word(state, 0);
        for (int value = 0; value < 256; value++) {
            if (value >> (bit & 7) & 1) over[bit >> 3][value] ^= state;
        }
    }
}

// Runs before main and before any thread, so readers need no synchronisation.
__attribute__((constructor)) static void fill_tables(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0x82F63B78u & (0u - (crc & 1u)));
        table[0][byte] = crc;
    }
    for (uint32_t byte = 0; byte < 256; byte++) {
        for (int k = 1; k < 8; k++) {
            uint32_t before = table[k - 1][byte];
            table[k][byte] = (before >> 8) ^ table[0][before & 0xFF];
        }
    }
    fill_over(over_long, LONG_PART);
    fill_over(over_short, SHORT_PART);
}

uint32_t sluice_crc32c_table(uint32_t crc, const void *bytes, size_t count) {
    const uint8_t *p = bytes;
    uint32_t state = ~crc;
    for (; count >= 8; p += 8, count -= 8) state = after_word(state, load_little(p));
    for (; count > 0; p++, count--) state = (state >> 8) ^ table[0][(state ^ *p) & 0xFF];
    return ~state;
}

#if defined(__x86_64__) || (defined(__aarch64__) && defined(__ARM_FEATURE_CRC32))
#if defined(__x86_64__)
#define WITH_INSTRUCTION __attribute__((target("sse4.2")))
#define SUM_WORD(state, word) ((uint32_t)_mm_crc32_u64(state, word))
#define SUM_BYTE(state, byte) _mm_crc32_u8(state, byte)
#else
#define WITH_INSTRUCTION
#define SUM_WORD(state, word) __crc32cd(state, word)
#define SUM_BYTE(state, byte) __crc32cb(state, byte)
#endif

static uint32_t shifted(uint32_t over[4][256], uint32_t state) {
    return over[0][state & 0xFF] ^ over[1][state >> 8 & 0xFF] ^ over[2][state >> 16 & 0xFF] ^ over[3][state >> 24];
}

static inline uint64_t load(const uint8_t *p) {
    uint64_t word;
    memcpy(&word, p, 8);
    return word;
}

// Sums `3 * part` bytes.
WITH_INSTRUCTION static inline uint32_t three_parts(
    uint32_t state, const uint8_t *p, size_t part, uint32_t over[4][256]) {
    uint32_t second = 0, third = 0;
    for (const uint8_t *end = p + part; p < end; p += 8) {
        state = SUM_WORD(state, load(p));
        second = SUM_WORD(second, load(p + part));
        third = SUM_WORD(third, load(p + 2 * part));
    }
    return shifted(over, shifted(over, state) ^ second) ^ third;
}

WITH_INSTRUCTION static uint32_t crc32c_instruction(uint32_t crc, const void *bytes, size_t count) {
    const uint8_t *p = bytes;
    uint32_t state = ~crc;
    for (; count >= 3 * LONG_PART; p += 3 * LONG_PART, count -= 3 * LONG_PART) {
        state = three_parts(state, p, LONG_PART, over_long);
    }
    for (; count >= 3 * SHORT_PART; p += 3 * SHORT_PART, count -= 3 * SHORT_PART) {
        state = three_parts(state, p, SHORT_PART, over_short);
    }
    for (; count >= 8; p += 8, count -= 8) state = SUM_WORD(state, load(p));
    for (; count > 0; p++, count--) state = SUM_BYTE(state, *p);
    return ~state;
}
#endif

uint32_t sluice_crc32c(uint32_t crc, const void *bytes, size_t count) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) return crc32c_instruction(crc, bytes, count);
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
    return crc32c_instruction(crc, bytes, count);
#endif
    return sluice_crc32c_table(crc, bytes, count);
}
