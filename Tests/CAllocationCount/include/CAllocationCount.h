#pragma once
#include <stdint.h>

/// Heap blocks that the calling thread asked for since it began: malloc, calloc, realloc and the aligned forms. Only in
/// programs that link this target; under a sanitizer, which brings its own allocator, it stays at zero.
uint64_t sluice_allocation_count(void);
