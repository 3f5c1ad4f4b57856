#define _GNU_SOURCE
#include "mappings.h"

#ifdef __linux__
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/// Only segments that are never written: pages that a relocation has changed would come back as in the file.
static int release(struct dl_phdr_info *object, size_t size, void *data) {
  (void)size;
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  // The first one is the program; an object without a name is the kernel's own page.
  if (*(int *)data > 0 && (object->dlpi_name == NULL || object->dlpi_name[0] != '/')) return 0;
  *(int *)data += 1;
  for (int index = 0; index < object->dlpi_phnum; index++) {
    const ElfW(Phdr) *segment = &object->dlpi_phdr[index];
    if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X) || (segment->p_flags & PF_W)) continue;
    uintptr_t start = (object->dlpi_addr + segment->p_vaddr) & ~(page - 1);
    uintptr_t end = (object->dlpi_addr + segment->p_vaddr + segment->p_filesz) & ~(page - 1);
    if (end > start) madvise((void *)start, end - start, MADV_DONTNEED);
  }
  return 0;
}

void sluice_release_code(void) {
  int seen = 0;
  dl_iterate_phdr(release, &seen);
}
#else
void sluice_release_code(void) {}
#endif
