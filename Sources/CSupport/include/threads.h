#pragma once

#include <semaphore.h>
#include <stdbool.h>
#include <time.h>

/// Names the calling thread as `top -H` and debuggers show it: the first 15 bytes of `name`.
void sluice_name_thread(const char *name);

/// Asks for long turns of the calling thread on its processor, which end when a thread with turns of the usual length
/// is woken. Its share stays the same. Linux from 6.12 on does so, older ones do nothing. Cheap when the thread has
/// asked before.
void sluice_take_long_turns(void);

/// sem_wait until `deadline` of the monotonic clock, which Swift's module of the C library does not show. False when
/// the time is over, or a signal came between.
bool sluice_semaphore_wait(sem_t *semaphore, const struct timespec *deadline);
