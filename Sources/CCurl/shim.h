#pragma once
// The type check of curl_easy_setopt is a macro over variadic calls; the typed wrappers below take its place.
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <stddef.h>

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

static inline CURLcode sluice_curl_set_receiver(CURL *handle, CURLoption option, sluice_curl_receive value) {
    return curl_easy_setopt(handle, option, value);
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
