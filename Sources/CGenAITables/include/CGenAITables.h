#pragma once
#include <stddef.h>

/// One table file of the GenAI normalizer, embedded at build time. The bytes live as long as the process.
struct sluice_genai_table {
    const char *name;
    const unsigned char *bytes;
    size_t count;
};

/// Number of embedded tables.
size_t sluice_genai_table_count(void);

/// The table at `index`; all zero when there is none.
struct sluice_genai_table sluice_genai_table_at(size_t index);
