/* Descriptors beside messages; what a hostile end may send stands with the shared-memory link. */
#include "../test.h"

#include <sys/socket.h>
#include <unistd.h>

#include "net/descriptor.h"

static int file_with(const char *text) {
    FILE *file = tmpfile();
    int fd = dup(fileno(file));

    assert_int_equal(pwrite(fd, text, strlen(text), 0), strlen(text));
    fclose(file);
    return fd;
}

static void one_comes_with_its_message(void **state) {
    int ends[2], sent = file_with("here"), taken = -1;
    char message[8], text[8] = {0};

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_true(descriptor_local(ends[0]));
    assert_false(descriptor_local(sent));
    assert_int_equal(descriptor_send(ends[0], sent, "message", 8, NULL), 0);
    assert_int_equal(descriptor_receive(ends[1], 1000, message, 8, &taken, NULL), 0);
    assert_string_equal(message, "message");
    assert_int_equal(pread(taken, text, 4, 0), 4);
    assert_string_equal(text, "here");
    close(taken);
    assert_int_equal(descriptor_send(ends[0], -1, "another", 8, NULL), 0);
    assert_int_equal(descriptor_receive(ends[1], 1000, message, 8, &taken, NULL), 0);
    assert_int_equal(taken, -1);
    close(sent);
    close(ends[0]);
    close(ends[1]);
}

static void what_does_not_come(void **state) {
    int ends[2], sent = file_with(""), taken = -1;
    struct opiml_error err;
    char message[8];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(descriptor_receive(ends[1], 10, message, 8, &taken, &err), OPIML_ETIMEDOUT);
    assert_int_equal(descriptor_send(ends[0], sent, "short", 5, NULL), 0);
    assert_int_equal(descriptor_receive(ends[1], 1000, message, 8, &taken, &err), OPIML_ECORRUPT);
    assert_int_equal(taken, -1);
    close(ends[0]);
    assert_int_equal(descriptor_receive(ends[1], 1000, message, 8, &taken, &err), OPIML_EIO);
    assert_true(descriptor_send(ends[1], sent, "message", 8, &err) < 0);
    close(sent);
    close(ends[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_comes_with_its_message),
        cmocka_unit_test(what_does_not_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
