/* Streams over TLS: bytes both ways from two threads, greetings that are cut, hostile bytes. */
#include "site.h"

#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>

static struct site site;
static struct tls *tls;

static int setup(void **state) {
    site_make(&site);
    tls = site_tls(&site, "127.0.0.1");
    return 0;
}

static int teardown(void **state) {
    tls_destroy(tls);
    site_remove(&site);
    return 0;
}

/* ---- bytes ---- */

#define BYTES 20000000

static uint8_t byte_at(size_t at) {
    return (uint8_t)(at * 7 + (at >> 13));
}

/* In pieces of many sizes, two of which go at once. */
static void *write_all(void *argument) {
    struct stream *stream = argument;
    uint8_t *data = malloc(BYTES);
    size_t done = 0, step = 1;

    for (size_t i = 0; i < BYTES; i++)
        data[i] = byte_at(i);
    while (done < BYTES) {
        size_t head = step % 40000, rest;
        struct iovec parts[2];
        struct pollfd fd = {.fd = stream->fd, .events = POLLOUT};
        int64_t n;

        head = head < BYTES - done ? head : BYTES - done;
        rest = BYTES - done - head;
        parts[0] = (struct iovec){data + done, head};
        parts[1] = (struct iovec){data + done + head, rest < 100000 ? rest : 100000};
        n = stream->ops->write(stream, parts, 2, NULL);
        if (n < 0)
            break;
        if (n == 0)
            poll(&fd, 1, 1000);
        else
            step = step * 31 + 7;
        done += (size_t)n;
    }
    free(data);
    stream->ops->finish(stream);
    return NULL;
}

/* How much comes, all of it as it should, before the other end has gone. */
static size_t read_all(struct stream *stream) {
    uint8_t *noise = malloc(70000);
    struct opiml_error err;
    size_t done = 0;

    for (;;) {
        struct iovec parts[2] = {{noise, 1 + done % 30000}, {noise + 30001, 39999}};
        struct pollfd fd = {.fd = stream->fd, .events = POLLIN};
        int64_t n = stream->ops->read(stream, parts, 2, &err);

        if (n < 0)
            break;
        if (n == 0)
            poll(&fd, 1, 1000);
        for (size_t i = 0; i < (size_t)n; i++) {
            uint8_t byte = i < parts[0].iov_len ? noise[i] : noise[30001 + i - parts[0].iov_len];

            if (byte != byte_at(done + i))
                fail_msg("byte %zu differs", done + i);
        }
        done += (size_t)n;
    }
    assert_non_null(strstr(err.message, STREAM_GONE));
    free(noise);
    return done;
}

static void both_ways_at_once(void **state) {
    struct stream *streams[2];
    pthread_t threads[3];
    void *peer_read;

    site_pair(tls, tls, streams);
    for (int end = 0; end < 2; end++) /* a writer beside each reader, on the same stream */
        pthread_create(&threads[end], NULL, write_all, streams[end]);
    pthread_create(&threads[2], NULL, (void *(*)(void *))(void *)read_all, streams[1]);
    assert_int_equal(read_all(streams[0]), BYTES);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    pthread_join(threads[2], &peer_read);
    assert_int_equal((size_t)peer_read, BYTES);
    stream_close(streams[0]);
    stream_close(streams[1]);
}

static void what_is_cut_or_changed_is_noticed(void **state) {
    struct stream *streams[2];
    struct opiml_error err;
    uint8_t byte;
    const struct iovec part = {&byte, 1};
    int64_t n;

    site_pair(tls, tls, streams);
    assert_int_equal(
        send(streams[0]->fd, "\x17\x03\x03\x00\x20................................", 37, 0), 37);
    for (int i = 0; i < 1000 && (n = streams[1]->ops->read(streams[1], &part, 1, &err)) == 0; i++)
        usleep(200);
    assert_int_equal(n, OPIML_EIO);
    assert_non_null(strstr(err.message, "the client: TLS: "));
    assert_int_equal(streams[1]->ops->read(streams[1], &part, 1, NULL), OPIML_EIO); /* it stays */
    assert_true(streams[1]->ops->write(streams[1], &part, 1, NULL) < 0);
    stream_close(streams[0]);
    stream_close(streams[1]);

    site_pair(tls, tls, streams);
    stream_close(streams[0]); /* without goodbye */
    for (int i = 0; i < 1000 && (n = streams[1]->ops->read(streams[1], &part, 1, &err)) == 0; i++)
        usleep(200);
    assert_int_equal(n, OPIML_EIO);
    assert_non_null(strstr(err.message, STREAM_GONE));
    stream_close(streams[1]);
}

/* ---- greetings ---- */

static void noise_is_no_greeting(void **state) {
    static const char *const noise[] = {"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\xff\xff\xff",
                                        "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
                                        "\x16\x02\x00\x00\x02..", "\x15\x03\x01\x00\x02\x02\x28"};

    for (size_t i = 0; i < COUNT_OF(noise); i++) {
        struct opiml_error err;
        struct stream *stream;
        int fds[2], rc = 0;

        site_connect(fds);
        assert_int_equal(tls_accept(tls, fds[1], "the client", TLS_GRPC, &stream, NULL), 0);
        assert_true(send(fds[0], noise[i], i == 1 ? 6 : i == 2 ? 10 : i == 4 ? 7 : 7, 0) > 0);
        shutdown(fds[0], SHUT_WR);
        for (int k = 0; k < 1000 && rc == 0; k++) {
            rc = stream->ops->greet(stream, &err);
            usleep(rc ? 0 : 200);
        }
        assert_int_equal(rc, OPIML_EIO);
        assert_non_null(strstr(err.message, "the client"));
        stream_close(stream);
        close(fds[0]);
    }
}

/* Who sends without an end does not hold the loop. */
static void much_noise_is_not_read_to_its_end(void **state) {
    static const uint8_t noise[100000];
    struct stream *stream;
    int fds[2], left = 0;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(tls_accept(tls, fds[1], "the client", TLS_GRPC, &stream, NULL), 0);
    assert_int_equal(send(fds[0], noise, sizeof(noise), 0), sizeof(noise));
    assert_int_equal(stream->ops->greet(stream, NULL), OPIML_EIO);
    assert_int_equal(ioctl(fds[1], FIONREAD, &left), 0);
    assert_true(left > 0);
    stream_close(stream);
    close(fds[0]);
}

static void who_is_silent_is_given_up(void **state) {
    struct opiml_error err;
    struct stream *stream;
    int fds[2];

    site_connect(fds);
    assert_int_equal(tls_connect(tls, fds[0], "127.0.0.1:7", TLS_GRPC, &stream, NULL), 0);
    assert_int_equal(stream_greet(stream, 50, &err), OPIML_ETIMEDOUT);
    assert_non_null(strstr(err.message, "127.0.0.1:7: no answer within 0.1 s"));
    stream_close(stream);
    close(fds[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways_at_once),
        cmocka_unit_test(what_is_cut_or_changed_is_noticed),
        cmocka_unit_test(noise_is_no_greeting),
        cmocka_unit_test(much_noise_is_not_read_to_its_end),
        cmocka_unit_test(who_is_silent_is_given_up),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
