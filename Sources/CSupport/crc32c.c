#include "crc32c.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
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

#if defined(__x86_64__)
// Multipliers that carry 128 bits over 256 bytes, and over 32: x^(8n+32) and x^(8n-32) modulo the polynomial, reflected
// and doubled, since a product of reflected numbers is one bit short (Gopal and others, "Fast CRC Computation for
// Generic Polynomials Using PCLMULQDQ Instruction", Intel 2009).
static uint64_t over_256[2], over_32[2];

static uint64_t multiplier(int power) {
    uint32_t rest = 0x80000000u;
    for (int i = 0; i < power; i++) rest = (rest >> 1) ^ (0x82F63B78u & (0u - (rest & 1u)));
    return (uint64_t)rest << 1;
}

static void fill_multipliers(void) {
    over_256[0] = multiplier(256 * 8 + 32), over_256[1] = multiplier(256 * 8 - 32);
    over_32[0] = multiplier(32 * 8 + 32), over_32[1] = multiplier(32 * 8 - 32);
}
#endif

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
#if defined(__x86_64__)
    fill_multipliers();
#endif
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

#if defined(__x86_64__)
#define WITH_VECTORS __attribute__((target("sse4.2,avx2,vpclmulqdq")))
#define VECTORS_BYTES_MIN 512

// `sum` carried over the bytes that `multipliers` are for, and `next` added.
WITH_VECTORS static inline __m256i fold(__m256i sum, __m256i multipliers, __m256i next) {
    __m256i low = _mm256_clmulepi64_epi128(sum, multipliers, 0x00);
    __m256i high = _mm256_clmulepi64_epi128(sum, multipliers, 0x11);
    return _mm256_xor_si256(_mm256_xor_si256(low, high), next);
}

// The 32 bytes at `from`, which go to `to`, a multiple of 32, as well unless that is null. What is copied is read by
// the disk and not by the processor, so it goes past the caches, which keep what others work on.
WITH_VECTORS static inline __m256i take(const uint8_t *from, uint8_t *to) {
    __m256i bytes = _mm256_loadu_si256((const __m256i *)from);
    if (to) _mm256_stream_si256((__m256i *)to, bytes);
    return bytes;
}

// Sums 256 bytes at a time by multiplication without carries, of 512 bytes or more. As fast as the instruction or
// faster, and in registers that a copy goes through anyway.
WITH_VECTORS __attribute__((always_inline)) static inline uint32_t crc32c_vectors(
    uint32_t crc, const uint8_t *p, size_t count, uint8_t *to) {
    __m256i far = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)over_256));
    __m256i near = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)over_32));
    __m256i sums[8];
    for (int i = 0; i < 8; i++) sums[i] = take(p + 32 * i, to ? to + 32 * i : 0);
    sums[0] = _mm256_xor_si256(sums[0], _mm256_zextsi128_si256(_mm_cvtsi32_si128((int)~crc)));
    for (p += 256, count -= 256; count >= 256; p += 256, count -= 256) {
        if (to) to += 256;
        for (int i = 0; i < 8; i++) sums[i] = fold(sums[i], far, take(p + 32 * i, to ? to + 32 * i : 0));
    }
    __m256i sum = sums[0];
    for (int i = 1; i < 8; i++) sum = fold(sum, near, sums[i]);
    uint64_t words[4];
    _mm256_storeu_si256((__m256i *)words, sum);
    uint32_t state = 0;
    for (int i = 0; i < 4; i++) state = SUM_WORD(state, words[i]);
    if (to) memcpy(to + 256, p, count);
    return crc32c_instruction(~state, p, count);
}

WITH_VECTORS static uint32_t sum_vectors(uint32_t crc, const void *bytes, size_t count) {
    return crc32c_vectors(crc, bytes, count, 0);
}

WITH_VECTORS static uint32_t copy_vectors(uint32_t crc, void *to, const void *bytes, size_t count) {
    size_t head = -(uintptr_t)to & 31;
    memcpy(to, bytes, head);
    crc = crc32c_instruction(crc, bytes, head);
    crc = crc32c_vectors(crc, (const uint8_t *)bytes + head, count - head, (uint8_t *)to + head);
    _mm_sfence();
    return crc;
}

static int has_vectors(void) { return __builtin_cpu_supports("vpclmulqdq") && __builtin_cpu_supports("avx2"); }
#endif

uint32_t sluice_crc32c(uint32_t crc, const void *bytes, size_t count) {
#if defined(__x86_64__)
    if (count >= VECTORS_BYTES_MIN && has_vectors()) return sum_vectors(crc, bytes, count);
    if (__builtin_cpu_supports("sse4.2")) return crc32c_instruction(crc, bytes, count);
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
    return crc32c_instruction(crc, bytes, count);
#endif
    return sluice_crc32c_table(crc, bytes, count);
}

uint32_t sluice_crc32c_copy(uint32_t crc, void *to, const void *bytes, size_t count) {
#if defined(__x86_64__)
    if (count >= VECTORS_BYTES_MIN + 31 && has_vectors()) return copy_vectors(crc, to, bytes, count);
#endif
    // What is summed is copied while it is in the processor's first cache.
    const size_t slice = 3 * LONG_PART;
    uint8_t *out = to;
    for (const uint8_t *p = bytes; count > 0;) {
        size_t part = count < slice ? count : slice;
        crc = sluice_crc32c(crc, p, part);
        memcpy(out, p, part);
        out += part, p += part, count -= part;
    }
    return crc;
}
