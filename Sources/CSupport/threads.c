#define _GNU_SOURCE
#include "threads.h"

#include <sched.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

void sluice_name_thread(const char *name) { prctl(PR_SET_NAME, name); }

/// The first version of the kernel's structure; the C library has it in newer versions only.
struct attributes {
  uint32_t size;
  uint32_t policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime;
  uint64_t deadline;
  uint64_t period;
};

void sluice_take_long_turns(void) {
  static _Thread_local bool hasAsked = false;
  if (hasAsked) return;
  hasAsked = true;
  struct attributes attributes = {.size = sizeof attributes};
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) return;
  if (attributes.policy != SCHED_OTHER) return;
  attributes.size = sizeof attributes;
  attributes.runtime = 50 * 1000 * 1000;
  syscall(SYS_sched_setattr, 0, &attributes, 0);
}

bool sluice_semaphore_wait(sem_t *semaphore, const struct timespec *deadline) {
  return sem_clockwait(semaphore, CLOCK_MONOTONIC, deadline) == 0;
}
