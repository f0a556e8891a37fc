/* Plain streams. */
#include "../test.h"

#include <sys/socket.h>

#include "base/stream.h"

static struct stream *open_pair(int *ret_other) {
    struct stream *stream;
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(stream_plain(fds[0], "peer", &stream, NULL), 0);
    *ret_other = fds[1];
    return stream;
}

static void bytes_go_both_ways(void **state) {
    char a[2], b[8] = "", heard[8] = "";
    const struct iovec to[] = {{a, 0}, {a, 2}, {b, 7}};
    const struct iovec from[] = {{"xy", 2}, {"z", 1}};
    int other;
    struct stream *stream = open_pair(&other);

    assert_int_equal(stream_greet(stream, 0, NULL), 0);
    assert_int_equal(stream->ops->read(stream, to, 3, NULL), 0);
    assert_int_equal(write(other, "hello", 5), 5);
    assert_int_equal(stream->ops->read(stream, to, 3, NULL), 5);
    assert_memory_equal(a, "he", 2);
    assert_string_equal(b, "llo");
    assert_int_equal(stream->ops->write(stream, from, 2, NULL), 3);
    assert_int_equal(read(other, heard, 8), 3);
    assert_string_equal(heard, "xyz");
    stream->ops->finish(stream);
    assert_int_equal(read(other, heard, 8), 0);
    stream_close(stream);
    stream_close(NULL);
    close(other);
}

static void who_goes_or_speaks_tls_is_told(void **state) {
    static const char *const tls[] = {"\x16\x03\x01", "\x15\x03\x01"};
    struct opiml_error err;
    char noise[8];
    const struct iovec part = {noise, sizeof(noise)};
    int other;
    struct stream *stream = open_pair(&other);

    close(other);
    assert_int_equal(stream->ops->read(stream, &part, 1, &err), OPIML_EIO);
    assert_string_equal(err.message, "peer: the other end has gone");
    assert_int_equal(stream->ops->write(stream, &part, 1, &err), OPIML_EIO);
    assert_string_equal(err.message, "peer: the other end has gone");
    stream_close(stream);
    for (size_t i = 0; i < COUNT_OF(tls); i++) {
        stream = open_pair(&other);
        assert_int_equal(write(other, tls[i], 3), 3);
        assert_int_equal(stream->ops->read(stream, &part, 1, &err), OPIML_EIO);
        assert_non_null(strstr(err.message, "peer speaks TLS"));
        stream_close(stream);
        stream = open_pair(&other); /* later it may be anything */
        assert_int_equal(write(other, "x", 1), 1);
        assert_int_equal(stream->ops->read(stream, &part, 1, &err), 1);
        assert_int_equal(write(other, tls[i], 3), 3);
        assert_int_equal(stream->ops->read(stream, &part, 1, &err), 3);
        stream_close(stream);
        close(other);
    }
}

static void memory_that_runs_out_leaves_the_socket(void **state) {
    struct stream *stream;
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    for (uint64_t n = 1; n <= 2; n++) {
        base_alloc_fail_at(n);
        assert_int_equal(stream_plain(fds[0], "peer", &stream, NULL), OPIML_ENOMEM);
    }
    base_alloc_fail_at(0);
    assert_int_equal(write(fds[0], "x", 1), 1);
    close(fds[0]);
    close(fds[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_go_both_ways),
        cmocka_unit_test(who_goes_or_speaks_tls_is_told),
        cmocka_unit_test(memory_that_runs_out_leaves_the_socket),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
