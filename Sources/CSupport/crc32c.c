#include "crc32c.h"

#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

// Slicing by 8: table[k][b] is the checksum of byte b followed by k zero bytes.
static uint32_t table[8][256];

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
}

static uint64_t load_little(const uint8_t *p) {
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--) value = value << 8 | p[i];
    return value;
}

uint32_t sluice_crc32c_table(uint32_t crc, const void *bytes, size_t count) {
    const uint8_t *p = bytes;
    uint32_t state = ~crc;
    for (; count >= 8; p += 8, count -= 8) {
        uint64_t word = load_little(p) ^ state;
        state = 0;
        for (int k = 0; k < 8; k++) state ^= table[7 - k][(word >> (8 * k)) & 0xFF];
    }
    for (; count > 0; p++, count--) state = (state >> 8) ^ table[0][(state ^ *p) & 0xFF];
    return ~state;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const void *bytes, size_t count) {
    const uint8_t *p = bytes;
    uint64_t state = (uint32_t)~crc;
    for (; count >= 8; p += 8, count -= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        state = _mm_crc32_u64(state, word);
    }
    uint32_t last = (uint32_t)state;
    for (; count > 0; p++, count--) last = _mm_crc32_u8(last, *p);
    return ~last;
}

uint32_t sluice_crc32c(uint32_t crc, const void *bytes, size_t count) {
    if (__builtin_cpu_supports("sse4.2")) return crc32c_sse42(crc, bytes, count);
    return sluice_crc32c_table(crc, bytes, count);
}
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
uint32_t sluice_crc32c(uint32_t crc, const void *bytes, size_t count) {
    const uint8_t *p = bytes;
    uint32_t state = ~crc;
    for (; count >= 8; p += 8, count -= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        state = __crc32cd(state, word);
    }
    for (; count > 0; p++, count--) state = __crc32cb(state, *p);
    return ~state;
}
#else
uint32_t sluice_crc32c(uint32_t crc, const void *bytes, size_t count) {
    return sluice_crc32c_table(crc, bytes, count);
}
#endif
