#pragma once

#include <spawn.h>

/// Calls of the GNU C library that Swift's module of it leaves out: they need _GNU_SOURCE.

/// As pipe2 with O_CLOEXEC.
int sluice_test_pipe(int ends[2]);

/// As posix_spawn_file_actions_addclosefrom_np: closes every descriptor from `first` on.
int sluice_test_close_from(posix_spawn_file_actions_t *actions, int first);
