#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "allocator.h"
#include "bytes.h"
#include "files.h"
#include "json.h"
#include "mappings.h"
#include "numbers.h"
#include "scan.h"
#include "sockets.h"
#include "threads.h"
#include "triggers.h"
#include "utf8.h"
#if __has_include("crc32c.h")
#include "crc32c.h"
#endif
