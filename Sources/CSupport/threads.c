#define _GNU_SOURCE
#include "threads.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

void sluice_name_thread(const char *name) { prctl(PR_SET_NAME, name); }

/// Whether this thread has given up interrupting others.
static _Thread_local bool interrupts_nobody = false;
/// What it was started with is known.
static _Thread_local bool is_known = false;

static bool set_policy(int from, int to) {
  struct sched_param none = {0};
  return sched_getscheduler(0) == from && sched_setscheduler(0, to, &none) == 0;
}

/// A policy that the first thread does not have was given up by the one that started this.
static void know(void) {
  if (is_known) return;
  is_known = true;
  interrupts_nobody = sched_getscheduler(0) == SCHED_BATCH && sched_getscheduler(getpid()) == SCHED_OTHER;
}

void sluice_interrupt_others(bool does) {
  know();
  if (does != interrupts_nobody) return;
  bool is_set = does ? set_policy(SCHED_BATCH, SCHED_OTHER) : set_policy(SCHED_OTHER, SCHED_BATCH);
  if (is_set) interrupts_nobody = !does;
}

bool sluice_turn_waits(uint64_t *nanoseconds, uint64_t *turns) {
  char text[80];
  int file = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  ssize_t count = read(file, text, sizeof text - 1);
  close(file);
  if (count <= 0) return false;
  text[count] = 0;
  return sscanf(text, "%*u %" SCNu64 " %" SCNu64, nanoseconds, turns) == 2;
}

bool sluice_semaphore_wait(sem_t *semaphore, const struct timespec *deadline) {
  return sem_clockwait(semaphore, CLOCK_MONOTONIC, deadline) == 0;
}
