#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Which file a name or a descriptor stands for.
struct sluice_file {
  uint64_t device;
  uint64_t inode;
};

/// Finds the file at `path`, without following a last link, or of `descriptor` when `path` is null. 0, or -1 with
/// errno.
///
/// Asks for no times, as stat does: on file systems with fine-grained times (Linux from 6.13 on) the next write would
/// then have a time of its own, and its sync would write the inode as well.
int sluice_identify(int descriptor, const char *path, struct sluice_file *file);

/// Whether the file system of an open file is one of which it is known that it syncs such writes: ext4 and xfs. Others
/// take the request and forget the sync (FUSE, gVisor).
bool sluice_syncs_writes(int file);

/// Begins to write `count` bytes at `offset` and to sync the file as fdatasync does. The system does one behind the
/// other while the caller does something else or waits, where pwrite and fdatasync have it wait twice: on a busy
/// processor for two turns. False when the system does not do it, and nothing is written. For files for which
/// `sluice_syncs_writes` holds, open with O_DIRECT, and for parts of them that have blocks: neither what the page cache
/// holds nor a new size is sure to be synced.
bool sluice_begin_synced_write(int file, const void *bytes, size_t count, int64_t offset);

/// Waits for the write that this thread has begun, until when its memory belongs to the system. Gives the bytes that
/// were written and synced, or -errno when one of the two has failed.
long sluice_end_synced_write(void);
