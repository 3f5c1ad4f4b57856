#pragma once

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
