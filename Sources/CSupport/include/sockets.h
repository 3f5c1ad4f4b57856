#pragma once

#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/types.h>

/// Bytes that a stream socket holds for its reader; 0 when there are none, at its end and when it has failed.
static inline size_t sluice_bytes_waiting(int socket) {
  int count = 0;
  return ioctl(socket, FIONREAD, &count) == 0 && count > 0 ? (size_t)count : 0;
}

/// recv(2) that never waits, whose flag Swift sees as one type or another by what was imported before. Bytes that came;
/// 0 at the end of the stream, less than 0 when there are none or the socket has failed.
static inline ssize_t sluice_receive_now(int socket, void *bytes, size_t count) {
  return recv(socket, bytes, count, MSG_DONTWAIT);
}
