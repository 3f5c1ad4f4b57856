#pragma once
#include <stddef.h>
#include <stdint.h>

/// CRC-32C (Castagnoli, reflected polynomial 0x82F63B78, RFC 3720 appendix B.4). Start with `crc` 0 and pass the last
/// result to go on with more bytes. The nine bytes "123456789" give 0xE3069283. `bytes` may be NULL when `count` is 0.
/// Uses SSE4.2, VPCLMULQDQ or the ARMv8 CRC instructions where the processor has them. Any thread.
uint32_t sluice_crc32c(uint32_t crc, const void *bytes, size_t count);

/// The same, and copies the bytes to `to`, where they do not lie already: one pass over memory instead of two.
uint32_t sluice_crc32c_copy(uint32_t crc, void *to, const void *bytes, size_t count);

/// The same checksum by tables only: the fallback, and the oracle that tests hold the fast path against.
uint32_t sluice_crc32c_table(uint32_t crc, const void *bytes, size_t count);
