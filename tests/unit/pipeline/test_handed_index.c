/* Indexes that are handed over: they are the same, or are refused. */
#include "harness.h"

#include <sys/socket.h>
#include <unistd.h>

#include "net/descriptor.h"
#include "pipeline/handed_index.h"

struct fixture {
    struct harness data;
    struct opiml_pipeline *pipeline;
    int ends[2];
};

static int set_up(void **state) {
    struct fixture *self = calloc(1, sizeof(*self));

    self->data = harness_make(20);
    setenv("XDG_CACHE_HOME", self->data.folder, 1);
    self->pipeline = harness_pipeline(&self->data, "batch: {size: 10}\n");
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, self->ends), 0);
    *state = self;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *self = *state;

    close(self->ends[0]);
    close(self->ends[1]);
    opiml_pipeline_close(self->pipeline);
    harness_remove(&self->data);
    free(self);
    return 0;
}

static void it_is_the_same(void **state) {
    struct fixture *self = *state;
    const struct dataset *dataset = self->pipeline->dataset[0];
    struct handed_index message;

    for (uint32_t i = 0; i < 2; i++) { /* the second time it is in the cache */
        struct index index;

        assert_int_equal(handed_index_give(self->ends[0], dataset, NULL, NULL), 0);
        assert_int_equal(handed_index_take(self->ends[1], 1000, &message, &index, NULL), 0);
        assert_string_equal(message.uri, dataset_uri(dataset));
        assert_true(index.bytes == dataset_index(dataset)->bytes);
        assert_memory_equal(index.memory, dataset_index(dataset)->memory, index.bytes);
        index_release(&index);
    }
}

static void assert_refused(struct fixture *self, int memory, const struct handed_index *message,
                           int code) {
    struct handed_index taken;
    struct index index;

    assert_int_equal(descriptor_send(self->ends[0], memory, message, sizeof(*message), NULL), 0);
    assert_int_equal(handed_index_take(self->ends[1], 1000, &taken, &index, NULL), code);
}

static void others_are_refused(void **state) {
    struct fixture *self = *state;
    struct handed_index message;
    struct opiml_error why = {.code = OPIML_ENOENT, .message = "there is none"}, err;
    struct index index;
    int memory;

    assert_int_equal(handed_index_give(self->ends[0], NULL, &why, NULL), 0);
    assert_int_equal(handed_index_take(self->ends[1], 1000, &message, &index, &err), OPIML_ENOENT);
    assert_string_equal(err.message, "there is none");
    assert_int_equal(handed_index_give(self->ends[0], self->pipeline->dataset[0], NULL, NULL), 0);
    assert_int_equal(
        descriptor_receive(self->ends[1], 1000, &message, sizeof(message), &memory, NULL), 0);
    assert_refused(self, -1, &message, OPIML_ECORRUPT); /* nothing is beside it */
    message.bytes++;
    assert_refused(self, memory, &message, OPIML_ECORRUPT); /* less than it says */
    message.bytes -= 2;
    assert_refused(self, memory, &message, OPIML_ECORRUPT); /* of another hash */
    message.bytes = 1ull << 50;
    assert_refused(self, memory, &message, OPIML_ECORRUPT);
    message.version++;
    assert_refused(self, memory, &message, OPIML_EINVAL);
    close(memory);
}

static void memory_running_out(void **state) {
    struct fixture *self = *state;

    for (uint64_t n = 1; n < 8; n++) {
        struct handed_index message;
        struct index index = {0};
        int rc;

        assert_int_equal(handed_index_give(self->ends[0], self->pipeline->dataset[0], NULL, NULL),
                         0);
        base_alloc_fail_at(n);
        rc = handed_index_take(self->ends[1], 1000, &message, &index, NULL);
        base_alloc_fail_at(0);
        assert_true(rc == 0 || rc == OPIML_ENOMEM);
        index_release(&index);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(memory_running_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_is_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(others_are_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
