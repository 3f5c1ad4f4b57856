#pragma once
#include <stddef.h>
#include <stdint.h>

/// Eight sets of byte triples, each the product of three sets of bytes. A text is searched for places where some triple
/// begins; what is found there is only a hint that a slower check may pass.
typedef struct {
    /// Bit s of `exact[k][b]`: byte `b` may stand at place `k` of a triple of set `s`.
    uint8_t exact[3][256];
    /// The same by half bytes, a little wider: `low[k][b & 15] & high[k][b >> 4]`, for byte shuffles.
    uint8_t low[3][16];
    uint8_t high[3][16];
} sluice_trigger_table;

/// Lets `byte` stand at `place` (0 to 2) of the triples of `set` (0 to 7). The table begins zeroed.
void sluice_trigger_add(sluice_trigger_table *table, unsigned set, unsigned place, uint8_t byte);

/// The sets that have the triple at `p` in them.
static inline uint8_t sluice_trigger_sets(const sluice_trigger_table *table, const uint8_t *p) {
    return table->exact[0][p[0]] & table->exact[1][p[1]] & table->exact[2][p[2]];
}

/// Searches the places `from` to `places` of `p`; two more bytes must be readable behind the last place. Returns the
/// first place of the first run of 64 (counted from `from`) in which a triple may begin, with bit i of `mask` set for
/// place i of that run, or `places` and no mask when there is none. With AVX2 some places may be named in vain.
ptrdiff_t sluice_trigger_block(
    const sluice_trigger_table *table, const uint8_t *p, ptrdiff_t from, ptrdiff_t places, uint64_t *mask);

/// The same without vector instructions: the fallback, and the oracle of tests.
ptrdiff_t sluice_trigger_block_table(
    const sluice_trigger_table *table, const uint8_t *p, ptrdiff_t from, ptrdiff_t places, uint64_t *mask);
