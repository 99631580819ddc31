/* The load generator of `make overhead`: one thread, epoll, a closed loop on kept connections.

   Each connection sends the same request again as soon as its answer is whole. Every answer is
   checked: status 200, the number that was asked for (`q00000042@`), each token once and in order
   (`t017@<monotonic us>`), the format's own last words. Of every token the time since the vendor
   stamped it is kept: only that sees a gateway that holds a stream back and sends it whole later.
   What we hang up on, because DRAIN_S after the last question it still flows, is counted apart from
   what broke: started = whole + failed + unfinished.

   usage: load PORT REQUEST CONNECTIONS RAMP_S WARM_S OPEN_S DRAIN_S COUNT_MAX TOKENS END
       REQUEST    file with the request's bytes; the eight digits after its "#q" are set anew
       TOKENS     tokens that each answer must hold;  END: what it must end with, "" for anything
                  TOKENS -1: an answer of any other kind, of which its status, its length and END count
   It prints "open" and "closed" where the measured window begins and ends, then one line of JSON. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 4096, HEAD_MAX = 16384, READ_BYTES = 1 << 18, TAIL = 96, BUCKETS = 16384 };
enum where { OFF, WAITS, HEAD, SIZED, CHUNK_SIZE, CHUNK, CHUNK_END, TRAILER, TO_EOF };

struct conn {
    int fd, writing, last;        /* last: the server closes after this answer */
    enum where at;
    uint64_t began, due, left;
    size_t sent, head_size, line_size;
    unsigned number, tokens;
    int numbered, first_seen, in_digits;
    uint64_t digits;
    char before[16];              /* the last bytes of the body, for what is cut in two */
    char tail[TAIL];              /* the last bytes of the body, for its end */
    size_t tail_size;
    char digits_text[16], line[64], head[HEAD_MAX];
};

struct histogram { uint64_t count, max, bucket[BUCKETS]; };

static struct conn conns[CONNECTIONS_MAX];
static struct histogram whole_us, first_us, event_us;
static struct sockaddr_in server;
static char *request, input[READ_BYTES], complaint[512];
static size_t request_size, number_at;
static int poller, count, tokens_wanted, asking = 1, measuring;
static const char *end_wanted;
static uint64_t started, finished, failed, unfinished, in_window, tokens_in_window, most, now;

static uint64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Exact below 1024 us, then to 0.2 %. */
static unsigned bucket_of(uint64_t us) {
    unsigned shift = us < 1024 ? 0 : 54 - (unsigned)__builtin_clzll(us);
    return shift * 512 + (unsigned)(us >> shift);
}

static void note(struct histogram *h, uint64_t us) {
    unsigned at = bucket_of(us);
    h->bucket[at < BUCKETS ? at : BUCKETS - 1]++;
    h->count++;
    if (us > h->max) h->max = us;
}

static uint64_t quantile(const struct histogram *h, double share) {
    uint64_t want = (uint64_t)(share * (double)h->count), seen = 0;
    for (unsigned at = 0; at < BUCKETS; at++) {
        seen += h->bucket[at];
        if (seen > want) {
            unsigned shift = at < 1024 ? 0 : at / 512 - 1;
            return (uint64_t)(at - shift * 512) << shift;
        }
    }
    return h->max;
}

static void send_more(struct conn *c);

static void hang_up(struct conn *c) {
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
    c->at = OFF;
}

static void begin(struct conn *c) {
    if (!asking || started >= most) { hang_up(c); return; }
    if (c->fd < 0) {
        int one = 1;
        c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(c->fd, (struct sockaddr *)&server, sizeof server)) {
            if (failed++ == 0) snprintf(complaint, sizeof complaint, "connect: %s", strerror(errno));
            started++;
            hang_up(c);
            c->at = WAITS;
            c->due = now + 20000;
            return;
        }
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &e);
        c->writing = 0;
    }
    c->number = (unsigned)(started++ % 100000000);
    snprintf(c->digits_text, sizeof c->digits_text, "%08u", c->number);
    c->at = HEAD;
    c->sent = c->head_size = c->line_size = c->tail_size = 0;
    c->tokens = 0;
    c->numbered = c->first_seen = c->in_digits = c->last = 0;
    memset(c->before, 0, sizeof c->before);
    c->began = now_us();
    send_more(c);
}

/* An answer is over, whole or not. */
static void over(struct conn *c, const char *why) {
    if (why) {
        if (failed++ == 0)
            snprintf(complaint, sizeof complaint, "%s (after %u tokens): %.200s", why, c->tokens, c->head);
        hang_up(c);
        c->at = WAITS; /* an error that comes at once is not asked for a million times */
        c->due = now + 5000;
        return;
    }
    finished++;
    if (measuring) {
        in_window++;
        note(&whole_us, now - c->began);
    }
    if (c->last) hang_up(c);
    begin(c);
}

static void lost(struct conn *c, const char *why) {
    if (c->at != OFF && c->at != WAITS) over(c, why);
}

static void send_more(struct conn *c) {
    while (c->sent < request_size) {
        size_t ends[3] = {number_at, number_at + 8, request_size}, from = 0;
        const char *base[3] = {request, c->digits_text, request + number_at + 8};
        struct iovec v[3];
        int n = 0;
        for (int i = 0; i < 3; i++) {
            if (c->sent < ends[i]) {
                size_t skip = c->sent > from ? c->sent - from : 0;
                v[n].iov_base = (char *)base[i] + skip;
                v[n++].iov_len = ends[i] - from - skip;
            }
            from = ends[i];
        }
        struct msghdr m = {.msg_iov = v, .msg_iovlen = (size_t)n};
        ssize_t done = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (done < 0 && errno != EAGAIN) { lost(c, "broken off while the request was sent"); return; }
        if (done < 0) break;
        c->sent += (size_t)done;
    }
    int writing = c->sent < request_size;
    if (writing != c->writing) {
        struct epoll_event e = {.events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.ptr = c};
        epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
        c->writing = writing;
    }
}

static void token_read(struct conn *c) {
    c->in_digits = 0;
    c->tokens++;
    if (!c->first_seen) {
        c->first_seen = 1;
        if (measuring) note(&first_us, now - c->began);
    }
    if (measuring) {
        tokens_in_window++;
        note(&event_us, now > c->digits ? now - c->digits : 0);
    }
}

/* Looks at a piece of the body. Returns 0 when the answer is not what was asked for. */
static int look(struct conn *c, const char *data, size_t size) {
    const char *at = tokens_wanted < 0 ? data + size : data, *end = data + size, *mark;
    if (c->in_digits) {
        while (at < end && isdigit((unsigned char)*at)) c->digits = c->digits * 10 + (uint64_t)(*at++ - '0');
        if (at < end) token_read(c);
    }
    while (at < end && (mark = memchr(at, '@', (size_t)(end - at)))) {
        char word[10]; /* the nine bytes before the mark, whichever piece they came in */
        for (int i = 0; i < 9; i++) {
            long from = mark - data - 9 + i;
            word[i] = from >= 0 ? data[from] : c->before[16 + from];
        }
        word[9] = 0;
        at = mark + 1;
        if (word[0] == 'q') {
            if (memcmp(word + 1, c->digits_text, 8)) { over(c, "the answer to another request"); return 0; }
            c->numbered = 1;
        } else if (word[5] == 't') {
            if ((unsigned)atoi(word + 6) != c->tokens % 1000) { over(c, "a token is missing or comes twice"); return 0; }
            c->digits = 0;
            while (at < end && isdigit((unsigned char)*at)) c->digits = c->digits * 10 + (uint64_t)(*at++ - '0');
            c->in_digits = 1;
            if (at < end) token_read(c);
        }
    }
    if (size >= 16) memcpy(c->before, end - 16, 16);
    else { memmove(c->before, c->before + size, 16 - size); memcpy(c->before + 16 - size, data, size); }
    if (size >= TAIL) { memcpy(c->tail, end - TAIL, TAIL); c->tail_size = TAIL; }
    else {
        size_t keep = c->tail_size + size > TAIL ? TAIL - size : c->tail_size;
        memmove(c->tail, c->tail + c->tail_size - keep, keep);
        memcpy(c->tail + keep, data, size);
        c->tail_size = keep + size;
    }
    return 1;
}

static void body_ends(struct conn *c) {
    if (c->in_digits) token_read(c);
    if (tokens_wanted >= 0 && !c->numbered) over(c, "the number that was asked for is not in the answer");
    else if (tokens_wanted >= 0 && (int)c->tokens != tokens_wanted) over(c, "tokens are missing at the end");
    else if (*end_wanted && !memmem(c->tail, c->tail_size, end_wanted, strlen(end_wanted)))
        over(c, "the last words of the format are missing");
    else over(c, NULL);
}

static const char *header(const char *head, const char *name) {
    size_t size = strlen(name);
    for (const char *at = strstr(head, "\r\n"); at; at = strstr(at + 2, "\r\n"))
        if (!strncasecmp(at + 2, name, size) && at[2 + size] == ':') {
            at += 3 + size;
            while (*at == ' ') at++;
            return at;
        }
    return NULL;
}

/* The head is whole. Returns 0 when nothing more can come of it. */
static int head_read(struct conn *c) {
    const char *found;
    if (strncmp(c->head, "HTTP/1.1 200", 12) && strncmp(c->head, "HTTP/1.0 200", 12)) {
        if (!strncmp(c->head, "HTTP/1.1 100", 12)) { c->head_size = 0; return 1; }
        over(c, "refused");
        return 0;
    }
    found = header(c->head, "connection");
    c->last = found && !strncasecmp(found, "close", 5);
    if ((found = header(c->head, "transfer-encoding")) && !strncasecmp(found, "chunked", 7)) c->at = CHUNK_SIZE;
    else if ((found = header(c->head, "content-length"))) {
        c->left = strtoull(found, NULL, 10);
        c->at = SIZED;
    } else { c->at = TO_EOF; c->last = 1; }
    return 1;
}

static void take(struct conn *c, const char *data, size_t size) {
    const char *end = data + size;
    int fd = c->fd;
    while (data < end) {
        size_t rest = (size_t)(end - data), n;
        const char *stop;
        switch (c->at) {
        case HEAD:
            n = rest < HEAD_MAX - 1 - c->head_size ? rest : HEAD_MAX - 1 - c->head_size;
            memcpy(c->head + c->head_size, data, n);
            c->head[c->head_size + n] = 0;
            stop = memmem(c->head, c->head_size + n, "\r\n\r\n", 4);
            if (!stop) {
                c->head_size += n;
                if (c->head_size >= HEAD_MAX - 1) { over(c, "a head without end"); return; }
                return;
            }
            n = (size_t)(stop - c->head) + 4;
            data += n - c->head_size;
            c->head[n] = 0;
            if (!head_read(c)) return;
            break;
        case SIZED:
        case CHUNK:
            n = rest < c->left ? rest : c->left;
            if (!look(c, data, n)) return;
            data += n;
            if ((c->left -= n)) return;
            if (c->at == CHUNK) { c->at = CHUNK_END; break; }
            body_ends(c);
            if (data < end && c->fd == fd && c->at == HEAD) { over(c, "bytes after the answer"); return; }
            return;
        case TO_EOF:
            look(c, data, rest);
            return;
        case CHUNK_SIZE:
        case CHUNK_END:
        case TRAILER:
            stop = memchr(data, '\n', rest);
            n = stop ? (size_t)(stop - data) + 1 : rest;
            if (c->line_size + n >= sizeof c->line) { over(c, "a broken chunk"); return; }
            memcpy(c->line + c->line_size, data, n);
            c->line_size += n;
            data += n;
            if (!stop) return;
            c->line[c->line_size] = 0;
            c->line_size = 0;
            if (c->at == CHUNK_END) c->at = CHUNK_SIZE;
            else if (c->at == CHUNK_SIZE) {
                c->left = strtoull(c->line, NULL, 16);
                c->at = c->left ? CHUNK : TRAILER;
            } else if (c->line[0] == '\r' || c->line[0] == '\n') {
                body_ends(c);
                if (data < end && c->fd == fd && c->at == HEAD) over(c, "bytes after the answer");
                return;
            }
            break;
        default:
            return;
        }
    }
}

static void event(struct conn *c, unsigned what) {
    if (c->fd < 0) return;
    if (what & EPOLLOUT) send_more(c);
    if (c->fd < 0 || !(what & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
    ssize_t n = recv(c->fd, input, sizeof input, MSG_DONTWAIT);
    now = now_us();
    if (n > 0) take(c, input, (size_t)n);
    else if (n == 0 && c->at == TO_EOF) body_ends(c);
    else if (n == 0) lost(c, c->head_size || c->at != HEAD ? "broken off" : "closed without an answer");
    else if (errno != EAGAIN) lost(c, strerror(errno));
}

static void report(double seconds, double cpu_s) {
    for (char *at = complaint; *at; at++)
        if (*at == '"' || *at == '\\' || (unsigned char)*at < 32 || (unsigned char)*at > 126) *at = ' ';
    printf("{\"seconds\":%.6f,\"requests\":%llu,\"started\":%llu,\"whole\":%llu,\"failed\":%llu,\"unfinished\":%llu,"
           "\"p50_us\":%llu,\"p99_us\":%llu,\"first_p50_us\":%llu,\"first_p99_us\":%llu,"
           "\"tokens\":%llu,\"event_p50_us\":%llu,\"event_p99_us\":%llu,\"event_max_us\":%llu,"
           "\"generator_cpu_s\":%.4f,\"complaint\":\"%s\"}\n",
           seconds, (unsigned long long)in_window, (unsigned long long)started,
           (unsigned long long)finished, (unsigned long long)failed, (unsigned long long)unfinished,
           (unsigned long long)quantile(&whole_us, 0.5), (unsigned long long)quantile(&whole_us, 0.99),
           (unsigned long long)quantile(&first_us, 0.5), (unsigned long long)quantile(&first_us, 0.99),
           (unsigned long long)tokens_in_window, (unsigned long long)quantile(&event_us, 0.5),
           (unsigned long long)quantile(&event_us, 0.99), (unsigned long long)event_us.max, cpu_s, complaint);
}

static double cpu_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void read_request(const char *path) {
    FILE *file = fopen(path, "rb");
    request = malloc(16 << 20);
    if (!file || !request) { perror(path); exit(2); }
    request_size = fread(request, 1, 16 << 20, file);
    fclose(file);
    char *mark = memmem(request, request_size, "#q", 2);
    if (!mark) { fputs("load: no #q in the request\n", stderr); exit(2); }
    number_at = (size_t)(mark - request) + 2;
}

int main(int argc, char **argv) {
    if (argc != 11) { fputs("usage: load PORT REQUEST CONNECTIONS RAMP_S WARM_S OPEN_S DRAIN_S COUNT_MAX TOKENS END\n", stderr); return 2; }
    server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    read_request(argv[2]);
    count = atoi(argv[3]);
    if (count < 1 || count > CONNECTIONS_MAX) { fputs("load: 1 to 4096 connections\n", stderr); return 2; }
    uint64_t ramp = (uint64_t)(1e6 * atof(argv[4])), warm = (uint64_t)(1e6 * atof(argv[5]));
    uint64_t window = (uint64_t)(1e6 * atof(argv[6])), drain = (uint64_t)(1e6 * atof(argv[7]));
    most = strtoull(argv[8], NULL, 10);
    tokens_wanted = atoi(argv[9]);
    end_wanted = argv[10];
    poller = epoll_create1(EPOLL_CLOEXEC);
    uint64_t start = now = now_us(), opened = 0, closed = 0;
    double cpu_before = 0, cpu_used = 0;
    for (int i = 0; i < count; i++) {
        conns[i].fd = -1;
        conns[i].at = WAITS;
        conns[i].due = start + ramp * (uint64_t)i / (uint64_t)count;
    }
    struct epoll_event found[512];
    for (;;) {
        int open = 0, waiting = 0;
        uint64_t next = now + 100000;
        static uint64_t looked;
        if (now - looked >= 1000 || now < start + ramp) {
            looked = now;
            for (int i = 0; i < count; i++) {
                if (conns[i].at == WAITS && (conns[i].due <= now || !asking)) begin(&conns[i]);
                if (conns[i].at == WAITS) { waiting++; if (conns[i].due < next) next = conns[i].due; }
                open += conns[i].at != OFF;
            }
            if (!open) break;
        }
        if (!opened && now >= start + ramp + warm) {
            puts("open"); fflush(stdout);
            opened = now_us(); measuring = 1; cpu_before = cpu_s();
        }
        if (opened && !closed && (now >= opened + window || started >= most)) {
            closed = now_us(); measuring = asking = 0; cpu_used = cpu_s() - cpu_before;
            puts("closed"); fflush(stdout);
        }
        if (closed && now > closed + drain) break;
        if (opened && !closed && opened + window < next) next = opened + window;
        int wait = next > now ? (int)((next - now + 999) / 1000) : 0;
        int n = epoll_wait(poller, found, 512, waiting || wait > 10 ? (wait > 10 ? 10 : wait) : wait);
        now = now_us();
        for (int i = 0; i < n; i++) event(found[i].data.ptr, found[i].events);
        now = now_us();
    }
    if (!opened) opened = start;
    if (!closed) { closed = now_us(); puts("open\nclosed"); }
    for (int i = 0; i < count; i++)
        unfinished += conns[i].at != OFF && conns[i].at != WAITS;
    if (unfinished && !*complaint)
        snprintf(complaint, sizeof complaint, "unfinished: no end within %g s of the last question", (double)drain / 1e6);
    report((double)(closed - opened) / 1e6, cpu_used);
    return 0;
}
