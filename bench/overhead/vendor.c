/* The simulated vendor of `make overhead`: one thread, epoll, loopback only.

   It answers POST /v1/chat/completions, /v1/messages and /v1/responses, whole or as a stream, each
   in its format. What is wanted stands in the prompt, so that it comes through every gateway:

       #q00000042 020 0100#     answer number 42: 100 tokens, 20 ms apart (000: at once)

   Every token is `tNNN@<monotonic us> `, stamped when it is written; the number is said again as
   `q00000042@ ` before the first one. Whoever generates the load sees lost, swapped and late ones.

   usage: vendor PORT        prints "ready" once it listens; ends when its stdin does.           */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
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

enum { MAX_FD = 16384, BODY_LIMIT = 8 << 20, SLOTS = 4096, EVENT_BYTES = 2048, READ_BYTES = 1 << 18 };
enum format { CHAT, MESSAGES, RESPONSES };

struct conn {
    int fd, next; /* next: in the slot of the timer, -1 at its end */
    char *in;
    size_t have, room;
    char *out;
    size_t from, until, out_room;
    int streaming, usage, waits_to_write, closing;
    enum format format;
    unsigned number, pace_ms, tokens, sent;
    uint64_t due_ms;
};

static struct conn *conns[MAX_FD];
static int slots[SLOTS];
static uint64_t wheel_ms;
static int poller;
static char scratch[READ_BYTES];

static uint64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void *must(void *pointer) {
    if (!pointer) { fputs("vendor: no memory\n", stderr); exit(3); }
    return pointer;
}

static void hang_up(struct conn *c) {
    if (c->pace_ms && c->streaming) { /* out of the timer's list */
        int *at = &slots[c->due_ms % SLOTS];
        while (*at >= 0 && *at != c->fd) at = &conns[*at]->next;
        if (*at >= 0) *at = c->next;
    }
    conns[c->fd] = NULL;
    close(c->fd);
    free(c->in);
    free(c->out);
    free(c);
}

static void watch(struct conn *c, int writing) {
    if (c->waits_to_write == writing) return;
    struct epoll_event e = {.events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.fd = c->fd};
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
    c->waits_to_write = writing;
}

static void put(struct conn *c, const char *bytes, size_t size) {
    if (c->until + size > c->out_room) {
        c->out_room = (c->until + size) * 2;
        c->out = must(realloc(c->out, c->out_room));
    }
    memcpy(c->out + c->until, bytes, size);
    c->until += size;
}

/* Returns 0 when the connection is gone. */
static int flush(struct conn *c) {
    while (c->from < c->until) {
        ssize_t n = send(c->fd, c->out + c->from, c->until - c->from, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EAGAIN) { watch(c, 1); return 1; }
            hang_up(c);
            return 0;
        }
        c->from += (size_t)n;
    }
    c->from = c->until = 0;
    watch(c, 0);
    return 1;
}

static void chunk(struct conn *c, const char *data, size_t size) {
    char head[16];
    put(c, head, (size_t)sprintf(head, "%zx\r\n", size));
    put(c, data, size);
    put(c, "\r\n", 2);
}

#define ID "0123456789abcdef01234567"
static const char *CHAT_EVENT =
    "data: {\"id\":\"chatcmpl-" ID "\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,"
    "\"model\":\"bench-1\",\"system_fingerprint\":\"fp_bench\",\"choices\":[{\"index\":0,"
    "\"delta\":%s,\"logprobs\":null,\"finish_reason\":%s}]}\n\n";

static void say_begin(struct conn *c) {
    char e[EVENT_BYTES];
    int n = 0;
    if (c->format == CHAT) {
        n = snprintf(e, sizeof e, CHAT_EVENT, "{\"role\":\"assistant\",\"content\":\"\"}", "null");
    } else if (c->format == MESSAGES) {
        n = snprintf(e, sizeof e,
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_" ID
            "\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"bench-1\",\"content\":[],"
            "\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":210,"
            "\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":"
            "\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n");
    } else {
        n = snprintf(e, sizeof e,
            "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,"
            "\"response\":{\"id\":\"resp_" ID "\",\"object\":\"response\",\"created_at\":1760000000,"
            "\"status\":\"in_progress\",\"model\":\"bench-1\",\"output\":[],\"usage\":null}}\n\n"
            "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\","
            "\"sequence_number\":1,\"output_index\":0,\"item\":{\"id\":\"msg_" ID "\",\"type\":"
            "\"message\",\"status\":\"in_progress\",\"role\":\"assistant\",\"content\":[]}}\n\n"
            "event: response.content_part.added\ndata: {\"type\":\"response.content_part.added\","
            "\"sequence_number\":2,\"item_id\":\"msg_" ID "\",\"output_index\":0,\"content_index\":0,"
            "\"part\":{\"type\":\"output_text\",\"text\":\"\",\"annotations\":[]}}\n\n");
    }
    chunk(c, e, (size_t)n);
}

static void say_token(struct conn *c) {
    char e[EVENT_BYTES], text[64];
    int m = 0, n;
    if (c->sent == 0) m = snprintf(text, sizeof text, "q%08u@ ", c->number);
    snprintf(text + m, sizeof text - (size_t)m, "t%03u@%llu ", c->sent % 1000,
             (unsigned long long)now_us());
    if (c->format == CHAT) {
        char delta[96];
        snprintf(delta, sizeof delta, "{\"content\":\"%s\"}", text);
        n = snprintf(e, sizeof e, CHAT_EVENT, delta, "null");
    } else if (c->format == MESSAGES) {
        n = snprintf(e, sizeof e,
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
            "\"delta\":{\"type\":\"text_delta\",\"text\":\"%s\"}}\n\n", text);
    } else {
        n = snprintf(e, sizeof e,
            "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\","
            "\"sequence_number\":%u,\"item_id\":\"msg_" ID "\",\"output_index\":0,"
            "\"content_index\":0,\"delta\":\"%s\",\"logprobs\":[]}\n\n", c->sent + 3, text);
    }
    c->sent++;
    chunk(c, e, (size_t)n);
}

#define PART "{\"type\":\"output_text\",\"text\":\"(said)\",\"annotations\":[]}"
#define ITEM "{\"id\":\"msg_" ID "\",\"type\":\"message\",\"status\":\"completed\"," \
             "\"role\":\"assistant\",\"content\":[" PART "]}"

static void say_end(struct conn *c) {
    char e[EVENT_BYTES];
    int n;
    if (c->format == CHAT) {
        n = snprintf(e, sizeof e, CHAT_EVENT, "{}", "\"stop\"");
        chunk(c, e, (size_t)n);
        if (c->usage) {
            n = snprintf(e, sizeof e,
                "data: {\"id\":\"chatcmpl-" ID "\",\"object\":\"chat.completion.chunk\",\"created\":"
                "1760000000,\"model\":\"bench-1\",\"choices\":[],\"usage\":{\"prompt_tokens\":210,"
                "\"completion_tokens\":%u,\"total_tokens\":%u}}\n\n", c->tokens, 210 + c->tokens);
            chunk(c, e, (size_t)n);
        }
        n = snprintf(e, sizeof e, "data: [DONE]\n\n");
    } else if (c->format == MESSAGES) {
        n = snprintf(e, sizeof e,
            "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
            "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
            "\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":%u}}\n\n"
            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", c->tokens);
    } else {
        n = snprintf(e, sizeof e,
            "event: response.output_item.done\ndata: {\"type\":\"response.output_item.done\","
            "\"sequence_number\":9000,\"output_index\":0,\"item\":" ITEM "}\n\n"
            "event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":"
            "9001,\"response\":{\"id\":\"resp_" ID "\",\"object\":\"response\",\"created_at\":"
            "1760000000,\"status\":\"completed\",\"model\":\"bench-1\",\"output\":[" ITEM "],"
            "\"usage\":{\"input_tokens\":210,\"input_tokens_details\":{\"cached_tokens\":0},"
            "\"output_tokens\":%u,\"output_tokens_details\":{\"reasoning_tokens\":0},"
            "\"total_tokens\":%u}}}\n\n", c->tokens, 210 + c->tokens);
    }
    chunk(c, e, (size_t)n);
    put(c, "0\r\n\r\n", 5);
    c->streaming = 0;
}

static void say_whole(struct conn *c) {
    static const char filler[] =
        "The river had been rising since the morning, and nobody in the village had slept. They "
        "carried what they could up the hill, the clocks first, then the books, then the chairs, "
        "and at noon somebody began to sing. By the evening the bridge was gone and all of them "
        "were there, counted twice, with the dog. In the night the rain ended.";
    char text[640], body[EVENT_BYTES], head[256];
    snprintf(text, sizeof text, "q%08u@ t000@%llu %s t001@%llu ", c->number,
             (unsigned long long)now_us(), filler, (unsigned long long)now_us());
    int n;
    if (c->format == CHAT)
        n = snprintf(body, sizeof body,
            "{\"id\":\"chatcmpl-" ID "\",\"object\":\"chat.completion\",\"created\":1760000000,"
            "\"model\":\"bench-1\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
            "\"content\":\"%s\",\"refusal\":null,\"annotations\":[]},\"logprobs\":null,"
            "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":210,\"completion_tokens\":90,"
            "\"total_tokens\":300,\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},"
            "\"completion_tokens_details\":{\"reasoning_tokens\":0}},\"service_tier\":\"default\","
            "\"system_fingerprint\":\"fp_bench\"}", text);
    else if (c->format == MESSAGES)
        n = snprintf(body, sizeof body,
            "{\"id\":\"msg_" ID "\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"bench-1\","
            "\"content\":[{\"type\":\"text\",\"text\":\"%s\"}],\"stop_reason\":\"end_turn\","
            "\"stop_sequence\":null,\"usage\":{\"input_tokens\":210,\"cache_creation_input_tokens\":0,"
            "\"cache_read_input_tokens\":0,\"output_tokens\":90}}", text);
    else
        n = snprintf(body, sizeof body,
            "{\"id\":\"resp_" ID "\",\"object\":\"response\",\"created_at\":1760000000,\"status\":"
            "\"completed\",\"error\":null,\"incomplete_details\":null,\"instructions\":null,\"model\":"
            "\"bench-1\",\"output\":[{\"id\":\"msg_" ID "\",\"type\":\"message\",\"status\":"
            "\"completed\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":"
            "\"%s\",\"annotations\":[]}]}],\"parallel_tool_calls\":true,\"tool_choice\":\"auto\","
            "\"tools\":[],\"usage\":{\"input_tokens\":210,\"input_tokens_details\":{\"cached_tokens\":"
            "0},\"output_tokens\":90,\"output_tokens_details\":{\"reasoning_tokens\":0},"
            "\"total_tokens\":300}}", text);
    put(c, head, (size_t)snprintf(head, sizeof head,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_%08u\r\n"
        "content-length: %d\r\n\r\n", c->number, n));
    put(c, body, (size_t)n);
}

static void later(struct conn *c) {
    if (c->due_ms <= wheel_ms) c->due_ms = wheel_ms + 1;
    c->next = slots[c->due_ms % SLOTS];
    slots[c->due_ms % SLOTS] = c->fd;
}

static void refuse(struct conn *c, const char *status) {
    char head[160];
    put(c, head, (size_t)snprintf(head, sizeof head,
        "HTTP/1.1 %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", status));
    c->closing = 1;
}

/* What routers ask before they send anything: whether it lives, and what it serves. */
static void answer_get(struct conn *c, const char *path) {
    static const char models[] =
        "{\"object\":\"list\",\"data\":[{\"id\":\"bench-chat\",\"object\":\"model\",\"created\":"
        "1760000000,\"owned_by\":\"vllm\"},{\"id\":\"bench-messages\",\"object\":\"model\",\"created\":"
        "1760000000,\"owned_by\":\"vllm\"}]}";
    char head[160];
    const char *body = !strncmp(path, " /v1/models ", 12) ? models : "{}";
    int known = body == models || !strncmp(path, " /health ", 9);
    put(c, head, (size_t)snprintf(head, sizeof head,
        "HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n",
        known ? "200 OK" : "404 Not Found", strlen(body)));
    put(c, body, strlen(body));
}

/* Answers one request. The body is in one piece. */
static void answer(struct conn *c, const char *head, size_t head_size, const char *body, size_t size) {
    const char *path = memchr(head, ' ', head_size);
    if (path && !strncmp(head, "GET", 3)) { answer_get(c, path); return; }
    const char *wish = memmem(body, size, "#q", 2);
    if (!path || strncmp(head, "POST", 4)) { refuse(c, "404 Not Found"); return; }
    if (memmem(path, head_size - (size_t)(path - head), "/chat/completions", 17)) c->format = CHAT;
    else if (memmem(path, head_size - (size_t)(path - head), "/messages", 9)) c->format = MESSAGES;
    else if (memmem(path, head_size - (size_t)(path - head), "/responses", 10)) c->format = RESPONSES;
    else { refuse(c, "404 Not Found"); return; }
    if (!wish || wish + 20 > body + size ||
        sscanf(wish, "#q%8u %3u %4u#", &c->number, &c->pace_ms, &c->tokens) != 3) {
        refuse(c, "400 No Wish In It");
        return;
    }
    const char *stream = memmem(body, size, "\"stream\":", 9);
    if (stream) {
        stream += 9;
        while (*stream == ' ') stream++;
    }
    if (!stream || strncmp(stream, "true", 4)) { say_whole(c); return; }
    c->usage = memmem(body, size, "\"include_usage\"", 15) != NULL;
    c->sent = 0;
    c->streaming = 1;
    static const char begin[] =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
        "cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n";
    put(c, begin, sizeof begin - 1);
    say_begin(c);
    if (c->pace_ms) {
        say_token(c);
        c->due_ms = now_us() / 1000 + c->pace_ms;
        later(c);
        return;
    }
    while (c->sent < c->tokens) say_token(c);
    say_end(c);
}

/* Joins the chunks of a body in place: its size, or -1 more is needed, or -2 it is broken.
   `used`: bytes of the input that it took. */
static long unchunk(char *body, size_t have, size_t *used) {
    size_t from = 0, to = 0;
    for (;;) {
        char *end = memmem(body + from, have - from, "\r\n", 2);
        if (!end) return have - from > 32 ? -2 : -1;
        char *stop;
        unsigned long size = strtoul(body + from, &stop, 16);
        if (stop == body + from || size > BODY_LIMIT) return -2;
        from = (size_t)(end - body) + 2;
        if (from + size + 2 > have) return -1;
        memmove(body + to, body + from, size);
        to += size;
        from += size + 2;
        if (size == 0) { *used = from; return (long)to; }
    }
}

static int find_header(const char *head, size_t size, const char *name, char *value, size_t room) {
    size_t length = strlen(name);
    const char *at = memchr(head, '\n', size);
    while (at && at + 1 + length < head + size) {
        at++;
        if (!strncasecmp(at, name, length) && at[length] == ':') {
            at += length + 1;
            while (*at == ' ') at++;
            size_t n = strcspn(at, "\r\n");
            if (n >= room) n = room - 1;
            memcpy(value, at, n);
            value[n] = 0;
            return 1;
        }
        at = memchr(at, '\n', size - (size_t)(at - head));
    }
    return 0;
}

/* Takes whole requests from the input. Returns 0 when the connection is gone. */
static int take(struct conn *c) {
    while (c->have && !c->streaming && !c->closing) {
        c->in[c->have] = 0;
        char *end = memmem(c->in, c->have, "\r\n\r\n", 4), value[64];
        if (!end) {
            if (c->have > 65536) { hang_up(c); return 0; }
            break;
        }
        size_t head = (size_t)(end - c->in) + 4, used;
        if (!find_header(c->in, head, "content-length", value, sizeof value) &&
            find_header(c->in, head, "transfer-encoding", value, sizeof value)) {
            /* Joined on a copy: the rest of it may not be here yet. */
            size_t have = c->have - head;
            if (have < 5 || memcmp(c->in + c->have - 5, "0\r\n\r\n", 5)) break;
            long size = unchunk(c->in + head, have, &used);
            if (size < 0) { hang_up(c); return 0; }
            answer(c, c->in, head, c->in + head, (size_t)size);
            used += head;
        } else {
            size_t size = find_header(c->in, head, "content-length", value, sizeof value)
                              ? strtoul(value, NULL, 10) : 0;
            if (size > BODY_LIMIT) { hang_up(c); return 0; }
            if (c->have < head + size) {
                if (head + size + 1 > c->room) {
                    c->room = head + size + 1;
                    c->in = must(realloc(c->in, c->room));
                }
                break;
            }
            if (find_header(c->in, head, "connection", value, sizeof value) &&
                !strcasecmp(value, "close")) c->closing = 0; /* it closes, not we */
            answer(c, c->in, head, c->in + head, size);
            used = head + size;
        }
        memmove(c->in, c->in + used, c->have - used);
        c->have -= used;
    }
    return flush(c);
}

static void readable(struct conn *c) {
    for (;;) {
        if (c->room - c->have < 4096) {
            if (c->room > 2 * BODY_LIMIT) { hang_up(c); return; }
            c->room = c->room ? c->room * 2 : 16384;
            c->in = must(realloc(c->in, c->room));
        }
        size_t room = c->room - c->have - 1;
        ssize_t n = recv(c->fd, c->in + c->have, room, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN)) { hang_up(c); return; }
        if (n < 0) break;
        c->have += (size_t)n;
        if ((size_t)n < room) break;
    }
    take(c);
}

static void tick(struct conn *c) {
    if (c->sent < c->tokens) {
        say_token(c);
        c->due_ms += c->pace_ms;
        later(c);
        flush(c);
        return;
    }
    say_end(c);
    if (flush(c) && conns[c->fd] == c) take(c);
}

static void turn(void) {
    uint64_t now_ms = now_us() / 1000;
    if (now_ms - wheel_ms > SLOTS) wheel_ms = now_ms - SLOTS; /* it was stopped for a while */
    while (wheel_ms < now_ms) {
        wheel_ms++;
        int fd = slots[wheel_ms % SLOTS], late = -1;
        slots[wheel_ms % SLOTS] = -1;
        while (fd >= 0) {
            struct conn *c = conns[fd];
            int next = c->next;
            if (c->due_ms > wheel_ms) { c->next = late; late = fd; }
            else tick(c);
            fd = next;
        }
        while (late >= 0) { /* of a later round of the wheel */
            int next = conns[late]->next;
            conns[late]->next = slots[wheel_ms % SLOTS];
            slots[wheel_ms % SLOTS] = late;
            late = next;
        }
    }
}

static void welcome(int listener) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;
        if (fd < 0) return;
        if (fd >= MAX_FD) { close(fd); continue; }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct conn *c = conns[fd] = must(calloc(1, sizeof *c));
        c->fd = fd;
        struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
    }
}

int main(int argc, char **argv) {
    if (argc != 2) { fputs("usage: vendor PORT\n", stderr); return 2; }
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&to, sizeof to) || listen(listener, 4096)) {
        perror("vendor");
        return 3;
    }
    for (int i = 0; i < SLOTS; i++) slots[i] = -1;
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = listener}, found[512];
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e);
    e.data.fd = 0;
    epoll_ctl(poller, EPOLL_CTL_ADD, 0, &e);
    wheel_ms = now_us() / 1000;
    puts("ready");
    fflush(stdout);
    for (;;) {
        int busy = 0;
        for (uint64_t i = 1; i <= 50 && !busy; i++) busy = slots[(wheel_ms + i) % SLOTS] >= 0 ? (int)i : 0;
        uint64_t now_ms = now_us() / 1000;
        int wait = busy ? (int)(wheel_ms + (uint64_t)busy > now_ms ? wheel_ms + (uint64_t)busy - now_ms : 0) : 50;
        int n = epoll_wait(poller, found, 512, wait);
        for (int i = 0; i < n; i++) {
            int fd = found[i].data.fd;
            if (fd == listener) { welcome(listener); continue; }
            if (fd == 0) {
                if (read(0, scratch, sizeof scratch) <= 0) return 0;
                continue;
            }
            if (conns[fd] && (found[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) readable(conns[fd]);
            if (conns[fd] && (found[i].events & EPOLLOUT) && flush(conns[fd]) && conns[fd]) take(conns[fd]);
        }
        turn();
    }
}
