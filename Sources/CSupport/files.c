#define _GNU_SOURCE
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/magic.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

int sluice_identify(int descriptor, const char *path, struct sluice_file *file) {
  struct statx found;
  int flags = path == NULL ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW;
  if (statx(path == NULL ? descriptor : AT_FDCWD, path == NULL ? "" : path, flags, STATX_INO, &found) != 0) return -1;
  file->device = makedev(found.stx_dev_major, found.stx_dev_minor);
  file->inode = found.stx_ino;
  return 0;
}

bool sluice_syncs_writes(int file) {
  struct statfs found;
  if (fstatfs(file, &found) != 0) return false;
  return found.f_type == EXT4_SUPER_MAGIC || found.f_type == XFS_SUPER_MAGIC;
}

/// Where the system tells this thread that a write has ended; 0 before the first one.
static _Thread_local aio_context_t context = 0;
/// Nor will there be one: too old a system, or one that does not let us.
static _Thread_local bool has_no_context = false;

static pthread_key_t ended_threads;
static pthread_once_t made_key = PTHREAD_ONCE_INIT;
static bool has_key = false;

static void destroy(void *old) { syscall(SYS_io_destroy, (aio_context_t)(uintptr_t)old); }

static void make_key(void) { has_key = pthread_key_create(&ended_threads, destroy) == 0; }

static bool begin(void) {
  if (context != 0) return true;
  if (has_no_context) return false;
  pthread_once(&made_key, make_key);
  if (!has_key || syscall(SYS_io_setup, 1, &context) != 0) {
    // EAGAIN: other programs have as many as the system allows.
    has_no_context = !has_key || errno != EAGAIN;
    context = 0;
    return false;
  }
  if (pthread_setspecific(ended_threads, (void *)(uintptr_t)context) != 0) {
    destroy((void *)(uintptr_t)context);
    context = 0;
    return false;
  }
  return true;
}

/// Waits for all that is under way, and asks for nothing more.
static void end(void) {
  pthread_setspecific(ended_threads, NULL);
  destroy((void *)(uintptr_t)context);
  context = 0;
  has_no_context = true;
}

bool sluice_begin_synced_write(int file, const void *bytes, size_t count, int64_t offset) {
  if (!begin()) return false;
  struct iocb write = {
      .aio_lio_opcode = IOCB_CMD_PWRITE,
      .aio_rw_flags = RWF_DSYNC,
      .aio_fildes = (uint32_t)file,
      .aio_buf = (uint64_t)(uintptr_t)bytes,
      .aio_nbytes = count,
      .aio_offset = offset,
  };
  struct iocb *writes[] = {&write};
  if (syscall(SYS_io_submit, context, 1, writes) == 1) return true;
  // All but a lack of memory would be the same the next time.
  if (errno != EAGAIN && errno != ENOMEM && errno != EINTR) end();
  return false;
}

long sluice_end_synced_write(void) {
  struct io_event ended;
  while (syscall(SYS_io_getevents, context, 1, 1, &ended, NULL) != 1) {
    if (errno == EINTR) continue;
    // No system answers so. Nobody knows how the write ends, and until it has the memory is not ours.
    end();
    return -EIO;
  }
  return (long)ended.res;
}
