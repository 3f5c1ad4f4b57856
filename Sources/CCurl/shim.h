#pragma once
// The type check of curl_easy_setopt is a macro over variadic calls; the typed wrappers below take its place.
#define CURL_DISABLE_TYPECHECK
#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/// Receives response bytes or one header line; returns how many bytes it took, fewer to stop the transfer.
typedef size_t (*sluice_curl_receive)(char *bytes, size_t size, size_t count, void *context);

static inline CURLcode sluice_curl_global_init(void) { return curl_global_init(CURL_GLOBAL_ALL); }

static inline CURLcode sluice_curl_set_long(CURL *handle, CURLoption option, long value) {
    return curl_easy_setopt(handle, option, value);
}

static inline CURLcode sluice_curl_set_offset(CURL *handle, CURLoption option, curl_off_t value) {
    return curl_easy_setopt(handle, option, value);
}

/// For options that keep the pointer: POSTFIELDS, HTTPHEADER, CONNECT_TO, PRIVATE, WRITEDATA, HEADERDATA.
static inline CURLcode sluice_curl_set_pointer(CURL *handle, CURLoption option, const void *value) {
    return curl_easy_setopt(handle, option, value);
}

/// For options that copy the string.
static inline CURLcode sluice_curl_set_string(CURL *handle, CURLoption option, const char *value) {
    return curl_easy_setopt(handle, option, value);
}

/// For options that take bytes, which libcurl copies.
static inline CURLcode sluice_curl_set_blob(CURL *handle, CURLoption option, const void *bytes, size_t size) {
    struct curl_blob blob = {.data = (void *)bytes, .len = size, .flags = CURL_BLOB_COPY};
    return curl_easy_setopt(handle, option, &blob);
}

static inline CURLcode sluice_curl_set_receiver(CURL *handle, CURLoption option, sluice_curl_receive value) {
    return curl_easy_setopt(handle, option, value);
}

static inline bool sluice_is_loopback(const struct sockaddr *address) {
    if (address->sa_family == AF_INET) {
        return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
    }
    if (address->sa_family != AF_INET6) return false;
    const struct in6_addr *six = &((const struct sockaddr_in6 *)address)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(six) || (IN6_IS_ADDR_V4MAPPED(six) && six->s6_addr[12] == 127);
}

/// Descriptors that no connection to a destination takes.
#define SLUICE_KEPT_FILES 8

/// Opens a connection's socket. One to this machine has no network to spare: where the system's congestion control
/// paces what is sent, as BBR does, that costs a timer for every few packets.
static inline curl_socket_t sluice_open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
    (void)context;
    (void)purpose;
    int opened = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    struct rlimit limit;
    // The number is the lowest free one. The runtime ends the process when it cannot open a file, so some are left.
    if (opened >= 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0 && (rlim_t)opened + SLUICE_KEPT_FILES >= limit.rlim_cur) {
        close(opened);
        errno = EMFILE;
        return CURL_SOCKET_BAD;
    }
    if (opened >= 0 && sluice_is_loopback(&address->addr)) {
        // Every kernel has this one; that it may be refused does no harm.
        (void)setsockopt(opened, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
    }
    return opened < 0 ? CURL_SOCKET_BAD : opened;
}

static inline CURLcode sluice_curl_set_opener(CURL *handle) {
    return curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, sluice_open_socket);
}

/// Goes to a place in the body; answers with one of CURL_SEEKFUNC_.
typedef int (*sluice_curl_seek)(void *context, curl_off_t offset, int origin);

static inline CURLcode sluice_curl_set_seeker(CURL *handle, sluice_curl_seek value) {
    return curl_easy_setopt(handle, CURLOPT_SEEKFUNCTION, value);
}

static inline CURLcode sluice_curl_get_long(CURL *handle, CURLINFO info, long *value) {
    return curl_easy_getinfo(handle, info, value);
}

static inline CURLcode sluice_curl_get_offset(CURL *handle, CURLINFO info, curl_off_t *value) {
    return curl_easy_getinfo(handle, info, value);
}

static inline CURLcode sluice_curl_get_pointer(CURL *handle, CURLINFO info, void **value) {
    return curl_easy_getinfo(handle, info, value);
}

/// The string belongs to the handle and is valid until its next transfer.
static inline CURLcode sluice_curl_get_string(CURL *handle, CURLINFO info, const char **value) {
    char *string = NULL;
    CURLcode code = curl_easy_getinfo(handle, info, &string);
    *value = string;
    return code;
}

/// A header of the last answer, NULL when it has none of that name; valid until the handle's next transfer.
static inline const char *sluice_curl_get_header(CURL *handle, const char *name) {
    struct curl_header *header = NULL;
    return curl_easy_header(handle, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK ? header->value : NULL;
}

static inline CURLMcode sluice_curl_multi_set_long(CURLM *handle, CURLMoption option, long value) {
    return curl_multi_setopt(handle, option, value);
}
