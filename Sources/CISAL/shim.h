#pragma once
// The compressor's state holds arrays that Swift does not import, so it stays behind these functions.
#include <isa-l/igzip_lib.h>
#include <stdint.h>
#include <stdlib.h>

/// A compressor of whole buffers at the library's second level, which beats its first in speed and size. For one thread
/// at a time.
typedef struct sluice_isal sluice_isal;

struct sluice_isal_state {
    struct isal_zstream stream;
    // Smaller rooms for tokens cost size, larger ones gain nothing.
    uint8_t tokens[ISAL_DEF_LVL2_LARGE];
};

/// NULL when memory is short.
static inline sluice_isal *sluice_isal_make(void) {
    return (sluice_isal *)malloc(sizeof(struct sluice_isal_state));
}

static inline void sluice_isal_free(sluice_isal *handle) { free(handle); }

/// Bytes that `count` bytes can become: stored blocks of 65,535 bytes with 5 bytes before each, and gzip's header and
/// trailer. What does not get smaller is stored.
static inline size_t sluice_isal_bound(size_t count) { return count + 5 * (count / 65535 + 1) + 18; }

/// Compresses `bytes` into one gzip member, or one zlib stream, and tells its length; 0 when it does not fit into
/// `room`, or when either is 4 GiB or more.
static inline size_t sluice_isal_compress(
    sluice_isal *handle, int makes_zlib, const void *bytes, size_t count, void *room, size_t room_count) {
    struct sluice_isal_state *state = (struct sluice_isal_state *)handle;
    struct isal_zstream *stream = &state->stream;
    if (count > UINT32_MAX || room_count > UINT32_MAX) return 0;
    isal_deflate_stateless_init(stream);
    stream->level = 2;
    stream->level_buf = state->tokens;
    stream->level_buf_size = sizeof state->tokens;
    stream->end_of_stream = 1;
    stream->flush = NO_FLUSH;
    stream->gzip_flag = makes_zlib ? IGZIP_ZLIB : IGZIP_GZIP;
    stream->next_in = (uint8_t *)bytes;
    stream->avail_in = (uint32_t)count;
    stream->next_out = (uint8_t *)room;
    stream->avail_out = (uint32_t)room_count;
    if (isal_deflate_stateless(stream) != COMP_OK || stream->avail_in != 0) return 0;
    return stream->total_out;
}
