#define _GNU_SOURCE
#include "threads.h"

#include <sys/prctl.h>

void sluice_name_thread(const char *name) { prctl(PR_SET_NAME, name); }

bool sluice_semaphore_wait(sem_t *semaphore, const struct timespec *deadline) {
  return sem_clockwait(semaphore, CLOCK_MONOTONIC, deadline) == 0;
}
