#pragma once

#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/// Names the calling thread as `top -H` and debuggers show it: the first 15 bytes of `name`.
void sluice_name_thread(const char *name);

/// With false the calling thread, when it is woken, waits for a free processor or for the end of the turn of the thread
/// that runs there (SCHED_BATCH of sched(7)) instead of interrupting it; with true it interrupts again, as the first
/// thread of the process does. Its share stays the same. In a process that was started with a policy other than the
/// usual one nothing changes. Threads begin with what the one that starts them does, so those that are to interrupt say
/// so first. Costs a system call only when something changes.
void sluice_interrupt_others(bool does);

/// Nanoseconds that the calling thread could have run and waited for a processor instead, and the turns it had, since
/// it began (/proc/thread-self/schedstat). False where the system does not tell.
bool sluice_turn_waits(uint64_t *nanoseconds, uint64_t *turns);

/// sem_wait until `deadline` of the monotonic clock, which Swift's module of the C library does not show. False when
/// the time is over, or a signal came between.
bool sluice_semaphore_wait(sem_t *semaphore, const struct timespec *deadline);
