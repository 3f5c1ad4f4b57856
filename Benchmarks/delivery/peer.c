/* The two ends of a gateway under measurement, each one thread:
 *
 *   peer load PORT FILE CONNECTIONS SECONDS RATE   posts the bodies of FILE in turn (each: 4 bytes length, little
 *       endian, then the body). RATE 0: every connection sends again when its answer is there. Otherwise so many
 *       requests a second on a fixed grid, and latency counts from the time that a request was due. Prints JSON.
 *   peer sink PORT                                 answers every POST 200; GET tells requests and bytes as JSON.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_MAX = 16384, EVENTS = 256 };

struct text { char *bytes; size_t count; };
struct connection {
    int socket;
    int is_busy;
    struct text out;      /* what is being sent, not owned */
    size_t sent;
    char head[HEAD_MAX];  /* up to the end of the head */
    size_t head_count;
    long body_left;       /* -1 while the head is read */
    int status;
    double due;
};

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void die(const char *what) {
    perror(what);
    exit(2);
}

static void watch(int poll, struct connection *c) {
    int one = 1;
    setsockopt(c->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, c->socket, &event)) die("epoll_ctl");
    c->body_left = -1;
}

/* 0 when all is sent or the socket is full, -1 when it is broken. */
static int push(struct connection *c) {
    while (c->sent < c->out.count) {
        ssize_t got = send(c->socket, c->out.bytes + c->sent, c->out.count - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (got < 0) return errno == EAGAIN ? 0 : -1;
        c->sent += (size_t)got;
    }
    return 0;
}

/* 1 when a message is whole, 0 when more has to come, -1 at the end. Nobody pipelines here. */
static int pull(struct connection *c, uint64_t *bytes) {
    static char waste[1 << 18];
    for (;;) {
        int reads_head = c->body_left < 0;
        char *to = reads_head ? c->head + c->head_count : waste;
        size_t room = reads_head ? HEAD_MAX - 1 - c->head_count : sizeof waste;
        ssize_t got = room ? recv(c->socket, to, room, MSG_DONTWAIT) : -1;
        if (got < 0 && room && errno == EAGAIN) return 0;
        if (got <= 0) return -1;
        *bytes += (uint64_t)got;
        if (reads_head) {
            c->head_count += (size_t)got;
            c->head[c->head_count] = 0;
            char *end = strstr(c->head, "\r\n\r\n");
            if (!end) continue;
            char *length = strcasestr(c->head, "\r\ncontent-length:");
            c->status = atoi(c->head + 9);
            c->body_left = length && length < end ? atol(length + 17) : 0;
            got = (ssize_t)(c->head + c->head_count - (end + 4));
        }
        c->body_left -= got;
        if (c->body_left > 0) continue;
        c->body_left = -1;
        c->head_count = 0;
        return 1;
    }
}

static int listener(int port) {
    int made = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(made, (void *)&to, sizeof to) || listen(made, 512)) die("listen");
    return made;
}

static void sink(int port) {
    static char stats[256];
    static struct text taken = {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0};
    struct connection door = {.socket = listener(port)};
    struct epoll_event events[EVENTS], event = {.events = EPOLLIN, .data.ptr = &door};
    int poll = epoll_create1(0);
    uint64_t requests = 0, bytes = 0;
    taken.count = strlen(taken.bytes);
    if (epoll_ctl(poll, EPOLL_CTL_ADD, door.socket, &event)) die("epoll_ctl");
    for (;;) {
        int count = epoll_wait(poll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            struct connection *c = events[i].data.ptr;
            if (c == &door) {
                int made = accept4(door.socket, NULL, NULL, SOCK_NONBLOCK);
                if (made < 0) continue;
                c = calloc(1, sizeof *c);
                c->socket = made;
                watch(poll, c);
            }
            int state;
            while ((state = pull(c, &bytes)) == 1) {
                c->out = taken;
                if (c->head[0] == 'G') {
                    char body[96];
                    int size = snprintf(body, sizeof body, "{\"requests\": %lu, \"bytes\": %lu}", requests, bytes);
                    c->out.count = (size_t)snprintf(
                        stats, sizeof stats, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", size, body);
                    c->out.bytes = stats;
                } else {
                    requests++;
                }
                c->sent = 0;
                if (push(c)) break;
            }
            if (state < 0 || push(c)) {
                close(c->socket);
                free(c);
            }
        }
    }
}

static struct text *requests;
static size_t request_count;

static void read_bodies(const char *path, int port) {
    FILE *file = fopen(path, "rb");
    uint32_t size;
    if (!file) die(path);
    while (fread(&size, 4, 1, file) == 1) {
        requests = realloc(requests, (request_count + 1) * sizeof *requests);
        char *bytes = malloc(size + 256);
        int head = snprintf(
            bytes, 256,
            "POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/x-protobuf\r\n"
            "Content-Length: %u\r\n\r\n", port, size);
        if (fread(bytes + head, 1, size, file) != size) die(path);
        requests[request_count++] = (struct text){bytes, (size_t)head + size};
    }
    fclose(file);
    if (!request_count) die("no bodies");
}

static void dial(int poll, struct connection *c, int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memset(c, 0, sizeof *c);
    c->socket = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(c->socket, (void *)&to, sizeof to)) die("connect");
    watch(poll, c);
}

static void post(struct connection *c, double due) {
    static size_t next;
    c->out = requests[next++ % request_count];
    c->sent = 0;
    c->is_busy = 1;
    c->due = due;
    push(c);
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int load(int port, const char *path, int count, double seconds, double rate) {
    struct connection *all = calloc((size_t)count, sizeof *all);
    struct epoll_event events[EVENTS];
    int poll = epoll_create1(0);
    uint64_t ok = 0, other = 0, broken = 0, issued = 0, received = 0;
    size_t room = 1 << 22, taken = 0;
    double *latency = malloc(room * sizeof *latency);
    read_bodies(path, port);
    for (int i = 0; i < count; i++) dial(poll, all + i, port);
    double start = now(), end = start + seconds;
    for (double at = start;; at = now()) {
        int busy = 0;
        for (int i = 0; i < count; i++) {
            double due = rate > 0 ? start + (double)issued / rate : at;
            if (!all[i].is_busy && at < end && due <= at) {
                issued++;
                post(all + i, due);
            }
            busy += all[i].is_busy;
        }
        if (at >= end && (!busy || at > end + 30)) break;
        double pause = rate > 0 && busy < count ? start + (double)issued / rate - now() : 0.1;
        pause = pause < 0 ? 0 : pause > 0.1 ? 0.1 : pause;
        struct timespec wait = {0, (long)(pause * 1e9)};
        int got = epoll_pwait2(poll, events, EVENTS, &wait, NULL);
        for (int i = 0; i < got; i++) {
            struct connection *c = events[i].data.ptr;
            int state = push(c) ? -1 : pull(c, &received);
            if (state == 1 && c->is_busy) {
                if (c->status == 200) ok++; else other++;
                if (taken < room) latency[taken++] = (now() - c->due) * 1e3;
                c->is_busy = 0;
            } else if (state < 0) {
                broken += (uint64_t)c->is_busy;
                close(c->socket);
                dial(poll, c, port);
            }
        }
    }
    double took = now() - start;
    qsort(latency, taken, sizeof *latency, by_size);
    if (!taken) latency[taken++] = 0;
    printf("{\"ok\": %lu, \"other\": %lu, \"broken\": %lu, \"rate\": %.1f, "
        "\"p50\": %.3f, \"p99\": %.3f, \"max\": %.3f}\n",
        ok, other, broken, (double)ok / took, latency[taken / 2], latency[taken * 99 / 100], latency[taken - 1]);
    return 0;
}

int main(int count, char **words) {
    if (count == 7 && !strcmp(words[1], "load"))
        return load(atoi(words[2]), words[3], atoi(words[4]), atof(words[5]), atof(words[6]));
    if (count == 3 && !strcmp(words[1], "sink")) sink(atoi(words[2]));
    fprintf(stderr, "peer load PORT FILE CONNECTIONS SECONDS RATE | peer sink PORT\n");
    return 2;
}
