/* Links: frames handed over through shared memory, over TCP against iperf3, and over UCX against
 * ucx_perftest.
 *
 *   bench_link small FRAMES BYTES        shared memory, from one core to another; prints JSON
 *   bench_link large PAIRS TARGET        shared memory against memcpy, by the size of the frames
 *   bench_link tcp HOST STRIPES PAIRS TARGET [PREFIX...]
 *                                        against iperf3 with as many streams; PREFIX runs the
 *                                        receiving programs, in another network namespace, say
 *   bench_link ucx HOST PAIRS TARGET     against ucx_perftest's active messages, of the same size
 *                                        and by the same transports, which also sleeps
 *                                        while it waits; and as that does, from one
 *                                        piece of memory into one, which stay in the
 *                                        cache
 *   bench_link receive HOST STRIPES      what `tcp` runs at the other end; `ucx`: what that runs */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/pairs.h"
#include "base/text.h"
#include "net/link.h"
#include "net/wire.h"

#define TCP_FRAME MIB(1)
#define TCP_DEPTH 3 /* as a consumer of a node has it */
#define TCP_SECONDS 1.0
#define LARGE_BYTES MIB(4096) /* handed over in a run */

static void die(const char *what) {
    fprintf(stderr, "bench_link: %s\n", what);
    exit(1);
}

static void must(int rc, const struct opiml_error *err) {
    if (rc < 0)
        die(err->message);
}

static double seconds_now(void) {
    return (double)clock_now_ns() / 1e9;
}

static double cpu_of(int who) {
    struct rusage usage;

    getrusage(who, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* The n-th core that this process may use, counted round. */
static void pin(uint32_t n) {
    cpu_set_t all, one;
    uint32_t count, seen = 0;

    if (sched_getaffinity(0, sizeof(all), &all) < 0)
        return;
    count = (uint32_t)CPU_COUNT(&all);
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &all) && seen++ == n % count)
            CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof(one), &one);
}

/* ---- shared memory ---- */

struct handed {
    double seconds, sender_cpu, receiver_cpu;
};

/* Sends so many frames of places that were filled before: what is made of them is not the link's.
 * Of each frame the number is written, and read at the other end. */
static void send_frames(struct link *link, uint64_t frames, uint64_t bytes) {
    struct opiml_error err;

    for (uint64_t i = 0; i < frames; i++) {
        void *at = link->ops->place(link, (uint32_t)base_min_u64(i, WIRE_PLACES_MAX));

        if (!at)
            must(link->ops->reclaim(link, true, &at, &err), &err);
        *(uint64_t *)at = i;
        must(link->ops->send_more(link, at, bytes, &err), &err);
    }
    link->ops->end(link, NULL);
}

static void receive_frames(struct link *link, uint64_t frames) {
    struct opiml_error err;
    uint64_t bytes, seen = 0;
    void *at;
    int rc;

    while ((rc = link->ops->receive(link, &at, &bytes, &err)) == 1) {
        if (*(uint64_t *)at != seen++)
            die("a frame is not where it was made");
        must(link->ops->post(link, at, bytes, &err), &err);
    }
    must(rc, &err);
    if (seen != frames)
        die("frames were lost");
}

/* Two processes, each on a core of its own where there are two. */
static struct handed hand_over(uint64_t frames, uint64_t bytes, uint32_t places) {
    uint64_t place_bytes = base_align_up(base_max_u64(bytes, 64), 64);
    double began, sender = cpu_of(RUSAGE_CHILDREN), receiver = cpu_of(RUSAGE_SELF);
    struct arena memory;
    struct handed handed;
    struct opiml_error err;
    struct link *link;
    int fds[2], status;
    pid_t child;

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
        die("socketpair");
    must(arena_init_shared(&memory, places * place_bytes, "bench", &err), &err);
    memset(memory.at, 1, memory.bytes);
    child = fork();
    if (child < 0)
        die("fork");
    if (child == 0) {
        close(fds[0]);
        pin(1);
        must(link_shm_lend(fds[1], &memory, places, place_bytes, &link, &err), &err);
        send_frames(link, frames, bytes);
        link->ops->close(link);
        _exit(0);
    }
    close(fds[1]);
    arena_release(&memory);
    pin(0);
    must(link_shm_borrow(fds[0], place_bytes, 5000, &link, &err), &err);
    for (uint32_t i = 0; i < places; i++) /* see every page once: that is the mapping's cost */
        for (uint64_t at = 0; at < bytes; at += 4096)
            (void)((volatile uint8_t *)link->ops->place(link, i))[at];
    began = seconds_now();
    for (uint32_t i = 0; i < places; i++)
        must(link->ops->post(link, link->ops->place(link, i), bytes, &err), &err);
    receive_frames(link, frames);
    handed.seconds = seconds_now() - began;
    link->ops->close(link);
    if (waitpid(child, &status, 0) < 0 || status != 0)
        die("the sender failed");
    handed.sender_cpu = cpu_of(RUSAGE_CHILDREN) - sender;
    handed.receiver_cpu = cpu_of(RUSAGE_SELF) - receiver;
    return handed;
}

static int small_frames(char **argv) {
    uint64_t frames = strtoull(argv[2], NULL, 10), bytes = strtoull(argv[3], NULL, 10);
    struct handed handed = hand_over(frames, bytes, WIRE_PLACES_MAX);
    double millions = (double)frames / 1e6;

    printf("{\"frames_per_s\": %.0f, \"sender_cpu_s_per_million\": %.3f, "
           "\"receiver_cpu_s_per_million\": %.3f}\n",
           (double)frames / handed.seconds, handed.sender_cpu / millions,
           handed.receiver_cpu / millions);
    return 0;
}

static double copy_speed(uint64_t bytes, uint32_t places) {
    uint8_t *from = base_alloc_aligned(bytes * places, 64);
    uint8_t *to = base_alloc_aligned(bytes * places, 64);
    uint64_t copied = 0;
    double began;

    if (!from || !to)
        die("out of memory");
    memset(from, 1, bytes * places);
    memset(to, 2, bytes * places);
    began = seconds_now();
    for (uint32_t i = 0; copied < LARGE_BYTES / 4; i = (i + 1) % places, copied += bytes) {
        memcpy(to + i * bytes, from + i * bytes, bytes);
        __asm__ volatile("" ::"r"(to) : "memory");
    }
    began = seconds_now() - began;
    base_free(from);
    base_free(to);
    return (double)copied / began / 1e9;
}

/* Frames that nobody copies are handed over in a time that does not know their size. */
static int large_frames(char **argv) {
    const uint64_t sizes[] = {KIB(64), MIB(1), MIB(16)};
    int missed = 0;

    for (size_t s = 0; s < COUNT_OF(sizes); s++) {
        char what[64], size[32];
        struct pairs pairs = {.what = what, .target = s == 0 ? 0 : atof(argv[3])};

        snprintf(what, sizeof(what), "GB per second, frames of %s, link / memcpy",
                 text_format_bytes(size, sizeof(size), sizes[s]));
        for (int i = 0; i < atoi(argv[2]); i++) {
            double ours = hand_over(200000, sizes[s], 4).seconds;

            pairs_add(&pairs, 200000 * (double)sizes[s] / ours / 1e9, copy_speed(sizes[s], 4));
        }
        missed += pairs_report(&pairs);
    }
    return missed > 0;
}

/* ---- TCP ---- */

static int receive_tcp(char **argv) {
    struct sockaddr_in at = {.sin_family = AF_INET};
    bool ucx = strcmp(argv[3], "ucx") == 0;
    uint32_t stripes = ucx ? 1 : (uint32_t)atoi(argv[3]);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;
    struct stream *streams[WIRE_STRIPES_MAX];
    uint8_t *slots = base_alloc_aligned(TCP_DEPTH * TCP_FRAME, 4096);
    uint64_t bytes, sum = 0;
    struct opiml_error err;
    struct link *link;
    double began = 0;
    void *to;

    if (stripes == 0 || stripes > WIRE_STRIPES_MAX || !slots ||
        inet_pton(AF_INET, argv[2], &at.sin_addr) != 1 ||
        bind(listener, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(listener, 16) < 0)
        die("cannot listen");
    printf("%u\n", address_port(listener));
    fflush(stdout);
    alarm(60);
    for (uint32_t s = 0; s < stripes; s++) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0)
            die("nobody came");
        must(stream_plain(fd, "the sender", &streams[s], &err), &err);
    }
    must(ucx ? link_ucx_open(streams[0], TCP_DEPTH, true, &link, &err)
             : link_tcp_open(streams, stripes, TCP_DEPTH, true, &link, &err),
         &err);
    for (uint32_t i = 0; i < TCP_DEPTH; i++)
        must(link->ops->post(link, slots + (ucx ? 0 : i) * TCP_FRAME, TCP_FRAME, &err), &err);
    while ((rc = link->ops->receive(link, &to, &bytes, &err)) == 1) {
        if (began == 0) /* at the first frame, which does not count */
            began = seconds_now();
        else
            sum += bytes;
        must(link->ops->post(link, to, TCP_FRAME, &err), &err);
    }
    must(rc, &err);
    printf("%.0f %.3f\n", (double)sum / (seconds_now() - began), cpu_of(RUSAGE_SELF));
    link->ops->close(link);
    base_free(slots);
    return 0;
}

struct tcp {
    const char *host;
    uint32_t stripes;
    bool ucx; /* which takes one */
    char self[4096], prefix[1024];
};

static void send_frame(struct link *link, const void *frame) {
    const struct link_ops *ops = link->ops;
    struct opiml_error err;
    void *back;

    while (ops->reclaim && ops->reclaim(link, false, &back, &err) == 1)
        continue;
    must((ops->send_more ? ops->send_more : ops->send)(link, frame, TCP_FRAME, &err), &err);
}

static double send_tcp(const struct tcp *tcp) {
    char command[8192], at[64], line[128];
    uint8_t *frame = base_alloc_aligned(TCP_FRAME * TCP_DEPTH, 4096);
    struct stream *streams[WIRE_STRIPES_MAX];
    struct opiml_error err;
    struct link *link;
    double until, speed = 0;
    FILE *other;

    snprintf(command, sizeof(command),
             tcp->ucx ? "%s '%s' receive %s ucx" : "%s '%s' receive %s %u", tcp->prefix, tcp->self,
             tcp->host, tcp->stripes);
    other = popen(command, "re");
    if (!frame || !other || !fgets(line, sizeof(line), other))
        die("the receiver does not start");
    memset(frame, 1, TCP_FRAME * TCP_DEPTH);
    snprintf(at, sizeof(at), "%s:%d", tcp->host, atoi(line));
    for (uint32_t s = 0; s < tcp->stripes; s++) {
        int fd;

        must(address_connect(at, 5000, &fd, &err), &err);
        must(stream_plain(fd, at, &streams[s], &err), &err);
    }
    must(tcp->ucx ? link_ucx_open(streams[0], TCP_DEPTH, false, &link, &err)
                  : link_tcp_open(streams, tcp->stripes, TCP_DEPTH, false, &link, &err),
         &err);
    until = seconds_now() + TCP_SECONDS;
    for (uint32_t i = 0; seconds_now() < until; i++)
        send_frame(link, frame + (tcp->ucx ? 0 : i % TCP_DEPTH) * TCP_FRAME);
    link->ops->end(link, NULL);
    link->ops->close(link);
    base_free(frame);
    if (!fgets(line, sizeof(line), other) || (speed = strtod(line, NULL)) <= 0 ||
        pclose(other) != 0)
        die("the receiver failed");
    return speed;
}

static double iperf(const struct tcp *tcp) {
    static char json[KIB(256)];
    char command[2048];
    size_t got;
    FILE *server, *client;
    int port = 20000 + (int)(clock_now_ns() / 1000 % 10000);
    const char *at;

    snprintf(command, sizeof(command), "%s iperf3 -s -1 -B %s -p %d --forceflush", tcp->prefix,
             tcp->host, port);
    server = popen(command, "re");
    while (server && fgets(json, sizeof(json), server) && !strstr(json, "listening"))
        continue;
    snprintf(command, sizeof(command), "iperf3 -c %s -p %d -P %u -l 1M -t %.0f -J", tcp->host, port,
             tcp->stripes, TCP_SECONDS);
    client = popen(command, "re");
    got = client ? fread(json, 1, sizeof(json) - 1, client) : 0;
    json[got] = 0;
    if (!client || pclose(client) != 0 || !(at = strstr(json, "\"sum_received\"")) ||
        !(at = strstr(at, "\"bits_per_second\":")))
        die("iperf3 failed");
    if (server)
        pclose(server);
    return strtod(strchr(at, ':') + 1, NULL) / 8;
}

/* As ours: both ends sleep while they wait (-E), failures are reported (-e; over TCP that halves
 * UCX's speed), memory is mapped before (-z). */
static double perftest(const struct tcp *tcp) {
    char command[512], line[512];
    double megabytes = 0;
    FILE *server, *client;
    int port = 20000 + (int)(clock_now_ns() / 1000 % 10000);

    snprintf(command, sizeof(command), "ucx_perftest -E sleep -e -z -p %d 2>&1", port);
    server = popen(command, "re");
    usleep(300000); /* it says nothing when it listens */
    snprintf(
        command, sizeof(command),
        "ucx_perftest %s -p %d -t ucp_am_bw -s %d -O %d -n 3000 -w 100 -f -v -E sleep -e -z 2>&1",
        tcp->host, port, (int)TCP_FRAME, TCP_DEPTH);
    client = popen(command, "re");
    while (client && fgets(line, sizeof(line), client)) { /* the last line is the sum */
        double columns[8];

        if (sscanf(line, "%lf,%lf,%lf,%lf,%lf,%lf,%lf,%lf", &columns[0], &columns[1], &columns[2],
                   &columns[3], &columns[4], &columns[5], &columns[6], &columns[7]) == 8)
            megabytes = columns[5];
    }
    if (!client || pclose(client) != 0 || megabytes <= 0)
        die("ucx_perftest failed");
    if (server)
        pclose(server);
    return megabytes * (double)MIB(1);
}

static int ucx_pairs(char **argv) {
    struct tcp ucx = {.host = argv[2], .stripes = 1, .ucx = true};
    struct pairs pairs = {.what = "MB per second, UCX, link / ucx_perftest",
                          .target = atof(argv[4])};

    if (readlink("/proc/self/exe", ucx.self, sizeof(ucx.self) - 1) < 0)
        die("/proc/self/exe");
    for (int i = 0; i < atoi(argv[3]); i++) {
        double ours = send_tcp(&ucx);

        pairs_add(&pairs, ours / 1e6, perftest(&ucx) / 1e6);
    }
    return pairs_report(&pairs);
}

static int tcp_pairs(int argc, char **argv) {
    struct tcp tcp = {.host = argv[2], .stripes = (uint32_t)atoi(argv[3])};
    char what[64];
    struct pairs pairs = {.what = what, .target = atof(argv[5])};
    ssize_t n = readlink("/proc/self/exe", tcp.self, sizeof(tcp.self) - 1);

    if (n < 0)
        die("/proc/self/exe");
    for (int i = 6; i < argc; i++)
        snprintf(tcp.prefix + strlen(tcp.prefix), sizeof(tcp.prefix) - strlen(tcp.prefix), "%s ",
                 argv[i]);
    snprintf(what, sizeof(what), "MB per second, %u TCP stream%s, link / iperf3", tcp.stripes,
             tcp.stripes == 1 ? "" : "s");
    for (int i = 0; i < atoi(argv[4]); i++) {
        double ours = send_tcp(&tcp);

        pairs_add(&pairs, ours / 1e6, iperf(&tcp) / 1e6);
    }
    return pairs_report(&pairs);
}

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "small") == 0)
        return small_frames(argv);
    if (argc == 4 && strcmp(argv[1], "large") == 0)
        return large_frames(argv);
    if (argc == 5 && strcmp(argv[1], "ucx") == 0)
        return ucx_pairs(argv);
    if (argc == 4 && strcmp(argv[1], "receive") == 0)
        return receive_tcp(argv);
    if (argc >= 6 && strcmp(argv[1], "tcp") == 0)
        return tcp_pairs(argc, argv);
    die("see the head of link.c for its arguments");
}
