#pragma once

#include <semaphore.h>
#include <stdbool.h>
#include <time.h>

/// Names the calling thread as `top -H` and debuggers show it: the first 15 bytes of `name`.
void sluice_name_thread(const char *name);

/// sem_wait until `deadline` of the monotonic clock, which Swift's module of the C library does not show. False when
/// the time is over, or a signal came between.
bool sluice_semaphore_wait(sem_t *semaphore, const struct timespec *deadline);
