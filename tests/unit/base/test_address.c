/* Places on a network. */
#include "../test.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/address.h"

static void places_are_found(void **state) {
    static const struct {
        const char *at, *text;
        bool loopback;
    } rows[] = {{"127.0.0.1:50251", "127.0.0.1:50251", true},
                {"127.9.9.9:1", "127.9.9.9:1", true},
                {"[::1]:0", "[::1]:0", true},
                {"192.0.2.7:65535", "192.0.2.7:65535", false},
                {"0.0.0.0:80", "0.0.0.0:80", false},
                {"[2001:db8::1]:80", "[2001:db8::1]:80", false}};

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct addrinfo *found;
        char text[ADDRESS_TEXT];

        assert_int_equal(address_find(rows[i].at, true, &found, NULL), 0);
        address_text(found->ai_addr, found->ai_addrlen, text);
        assert_string_equal(text, rows[i].text);
        assert_int_equal(address_is_loopback(found->ai_addr), rows[i].loopback);
        freeaddrinfo(found);
    }
}

static void hosts_are_taken_out(void **state) {
    char host[ADDRESS_HOST];

    assert_int_equal(address_host("node.example:50251", host, NULL), 0);
    assert_string_equal(host, "node.example");
    assert_int_equal(address_host("[::1]:50251", host, NULL), 0);
    assert_string_equal(host, "::1");
    assert_int_equal(address_host("node.example", host, NULL), OPIML_EINVAL);
}

static void what_is_no_place_is_told(void **state) {
    static const char *const bad[] = {"",        ":",        "host",   "host:",     ":80",
                                      "h:65536", "h:1x",     "::1:80", "[]:80",     "[::1]",
                                      "[::1:80", "h:-1",     "h: 80",  "h:1234567", "999.1.1.1:1",
                                      "]:80",    "[::1]x:80"};
    struct addrinfo *found;
    struct opiml_error err;

    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (address_find(bad[i], true, &found, &err) != OPIML_EINVAL)
            fail_msg("\"%s\" was taken", bad[i]);
}

static void connections_are_made_or_refused(void **state) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener = socket(AF_INET, SOCK_STREAM, 0), fd = -1;
    struct opiml_error err;
    char text[32];

    assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
    snprintf(text, sizeof(text), "127.0.0.1:%u", address_port(listener));
    assert_true(address_connect(text, 500, &fd, &err) < 0); /* nobody listens */
    assert_non_null(strstr(err.message, text));
    assert_non_null(strstr(err.message, "refused"));
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(address_connect(text, 500, &fd, NULL), 0);
    assert_true(fd >= 0);
    close(fd);
    close(listener);
    assert_int_equal(address_connect("nowhere", 500, &fd, NULL), OPIML_EINVAL);
}

static void peers_of_this_machine_are_known(void **state) {
    int pair[2], unconnected = socket(AF_INET, SOCK_STREAM, 0);
    int listener = socket(AF_INET, SOCK_STREAM, 0), fd;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(at);

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &bytes), 0);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_true(address_peer_is_here(pair[0]));
    assert_true(address_peer_is_here(fd));
    assert_false(address_peer_is_here(unconnected));
    assert_false(address_peer_is_here(-1));
    close(fd);
    close(listener);
    close(unconnected);
    close(pair[0]);
    close(pair[1]);
}

static void hosts_are_the_same_whatever_the_port(void **state) {
    assert_int_equal(address_hash_host("10.0.0.1:1"), address_hash_host("10.0.0.1:65535"));
    assert_int_equal(address_hash_host("[::1]:7"), address_hash_host("[::1]:8"));
    assert_int_not_equal(address_hash_host("[::1]:7"), address_hash_host("[::2]:7"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_are_found),
        cmocka_unit_test(hosts_are_taken_out),
        cmocka_unit_test(hosts_are_the_same_whatever_the_port),
        cmocka_unit_test(what_is_no_place_is_told),
        cmocka_unit_test(connections_are_made_or_refused),
        cmocka_unit_test(peers_of_this_machine_are_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
