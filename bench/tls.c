/* What TLS costs a link: frames over loopback TCP connections with and without it, in turn. Both
 * ends are in this process, one thread each.
 *
 *   bench_tls [PAIRS [FRAME_KIB]] */
#include "tests/unit/tls/site.h"

#include <pthread.h>
#include <sys/resource.h>

#include "base/pairs.h"
#include "net/link.h"
#include "net/wire.h"

#define DEPTH 3
#define RUN_BYTES MIB(1024)

struct run {
    struct link *from, *to;
    uint64_t frame_bytes, frames;
    uint8_t *frame;
};

static void *send_all(void *argument) {
    struct run *self = argument;

    for (uint64_t i = 0; i < self->frames; i++)
        if (self->from->ops->send(self->from, self->frame, self->frame_bytes, NULL) < 0)
            abort();
    self->from->ops->end(self->from, NULL);
    return NULL;
}

static void receive_all(struct run *self) {
    uint8_t *slots = malloc(DEPTH * self->frame_bytes);
    uint64_t bytes;
    void *at;

    for (uint64_t i = 0; i < DEPTH; i++)
        self->to->ops->post(self->to, slots + i * self->frame_bytes, self->frame_bytes, NULL);
    while (self->to->ops->receive(self->to, &at, &bytes, NULL) == 1)
        self->to->ops->post(self->to, at, self->frame_bytes, NULL);
    free(slots);
}

static double cpu_s(void) {
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

struct result {
    double mb_per_s, cpu_s_per_gib;
};

static struct result measure(struct tls *tls, uint32_t stripes, uint64_t frame_bytes) {
    struct run run = {.frame_bytes = frame_bytes, .frames = RUN_BYTES / frame_bytes};
    struct stream *from[WIRE_STRIPES_MAX], *to[WIRE_STRIPES_MAX], *pair[2];
    uint64_t bytes = run.frames * frame_bytes, start;
    pthread_t thread;
    double cpu, seconds;

    run.frame = calloc(1, frame_bytes);
    for (uint32_t s = 0; s < stripes; s++) {
        site_pair(tls, tls, pair);
        to[s] = pair[0]; /* a consumer connects to a node */
        from[s] = pair[1];
    }
    if (link_tcp_open(from, stripes, DEPTH, false, &run.from, NULL) < 0 ||
        link_tcp_open(to, stripes, DEPTH, true, &run.to, NULL) < 0)
        abort();
    cpu = cpu_s();
    start = clock_now_ns();
    pthread_create(&thread, NULL, send_all, &run);
    receive_all(&run);
    seconds = (double)(clock_now_ns() - start) / 1e9;
    cpu = cpu_s() - cpu;
    run.to->ops->close(run.to); /* lets the sender's end return */
    pthread_join(thread, NULL);
    run.from->ops->close(run.from);
    free(run.frame);
    return (struct result){(double)bytes / 1e6 / seconds,
                           cpu / ((double)bytes / (double)MIB(1024))};
}

static void compare(struct tls *tls, uint32_t stripes, uint64_t frame_bytes, uint32_t pairs) {
    struct pairs rates = {.what = "TCP + TLS against TCP, MB/s"};
    double plain[PAIRS_MAX], encrypted[PAIRS_MAX];

    for (uint32_t i = 0; i < pairs && i < PAIRS_MAX; i++) {
        struct result a = measure(tls, stripes, frame_bytes);
        struct result b = measure(NULL, stripes, frame_bytes);

        pairs_add(&rates, a.mb_per_s, b.mb_per_s);
        encrypted[i] = a.cpu_s_per_gib;
        plain[i] = b.cpu_s_per_gib;
    }
    printf("%u stripe%s, frames of %" PRIu64 " KiB\n", stripes, stripes > 1 ? "s" : "",
           frame_bytes / 1024);
    pairs_report(&rates);
    printf("CPU-seconds/GiB of both ends together: TCP + TLS %.3f, TCP %.3f\n",
           pairs_median(encrypted, rates.count), pairs_median(plain, rates.count));
}

int main(int argc, char **argv) {
    uint32_t pairs = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 10;
    uint64_t frame_bytes = KIB(argc > 2 ? strtoull(argv[2], NULL, 10) : 4096);
    struct site site;
    struct tls *tls;

    site_make(&site);
    tls = site_tls(&site, "127.0.0.1");
    for (uint32_t stripes = 1; stripes <= 4; stripes *= 4)
        compare(tls, stripes, frame_bytes, pairs);
    tls_destroy(tls);
    site_remove(&site);
    return 0;
}
