#include "utf8.h"

static inline bool is_tail(uint8_t b) { return (b & 0xC0) == 0x80; }

bool sluice_is_utf8_slow(const uint8_t *p, size_t n) {
    size_t i = 0;
    while (i < n) {
        uint8_t b = p[i];
        if (b < 0x80) {
            i++;
            while (i + 8 <= n) {
                uint64_t w;
                memcpy(&w, p + i, 8);
                if (w & 0x8080808080808080ull) break;
                i += 8;
            }
        } else if (b >= 0xC2 && b <= 0xDF) {
            if (n - i < 2 || !is_tail(p[i + 1])) return false;
            i += 2;
        } else if (b >= 0xE0 && b <= 0xEF) {
            if (n - i < 3 || !is_tail(p[i + 1]) || !is_tail(p[i + 2])) return false;
            if (b == 0xE0 && p[i + 1] < 0xA0) return false;
            if (b == 0xED && p[i + 1] > 0x9F) return false;
            i += 3;
        } else if (b >= 0xF0 && b <= 0xF4) {
            if (n - i < 4 || !is_tail(p[i + 1]) || !is_tail(p[i + 2]) || !is_tail(p[i + 3])) return false;
            if (b == 0xF0 && p[i + 1] < 0x90) return false;
            if (b == 0xF4 && p[i + 1] > 0x8F) return false;
            i += 4;
        } else {
            return false;
        }
    }
    return true;
}
