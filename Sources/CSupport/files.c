#define _GNU_SOURCE
#include "files.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

int sluice_identify(int descriptor, const char *path, struct sluice_file *file) {
  struct statx found;
  int flags = path == NULL ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW;
  if (statx(path == NULL ? descriptor : AT_FDCWD, path == NULL ? "" : path, flags, STATX_INO, &found) != 0) return -1;
  file->device = makedev(found.stx_dev_major, found.stx_dev_minor);
  file->inode = found.stx_ino;
  return 0;
}
