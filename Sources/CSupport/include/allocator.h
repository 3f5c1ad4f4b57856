#pragma once

#include <stddef.h>

/// Keeps memory of finished requests for the next ones. glibc by default gives large blocks back to the system and
/// takes them again, which costs a page fault per 4 KiB of every body. To be called before the first threads start.
/// At most `trim_bytes` per arena stay unused; `arenas` bounds how many arenas threads share.
void sluice_tune_allocator(unsigned arenas, unsigned trim_bytes);

/// Makes a block from malloc larger, or takes one when `block` is null; ends the process when there is no memory. The
/// system moves large blocks without copying them, so that growing never holds a block twice.
void *_Nonnull sluice_reallocate(void *_Nullable block, size_t bytes);
void sluice_release(void *_Nullable block);

/// Gives all unused memory back to the system. Takes milliseconds and holds up other threads that allocate.
void sluice_trim_memory(void);
