/* What is closed by other threads. */
#include "../test.h"

#include <semaphore.h>
#include <unistd.h>

#include "node/closer.h"

struct thing {
    struct closer_item item;
    sem_t *goes;
    _Atomic uint32_t *closed;
};

static void close_thing(struct closer_item *item) {
    struct thing *self = (struct thing *)item;

    while (self->goes && sem_wait(self->goes) < 0)
        continue;
    (*self->closed)++;
    free(self);
}

static void put(struct closer *closer, sem_t *goes, _Atomic uint32_t *closed) {
    struct thing *thing = calloc(1, sizeof(*thing));

    *thing = (struct thing){{.close = close_thing}, goes, closed};
    closer_put(closer, &thing->item);
}

static void one_that_hangs_holds_up_nobody(void **state) {
    _Atomic uint32_t hung = 0, closed = 0;
    struct closer *closer;
    sem_t goes;

    sem_init(&goes, 0, 0);
    assert_int_equal(closer_create(&closer, NULL), 0);
    assert_true(closer_wait(closer, 0)); /* nothing is there */
    put(closer, &goes, &hung);
    for (int i = 0; i < 5; i++)
        put(closer, NULL, &closed);
    for (int i = 0; i < 5000 && closed < 5; i++)
        usleep(1000);
    assert_int_equal(closed, 5);
    assert_int_equal(hung, 0);
    assert_false(closer_wait(closer, 20));
    sem_post(&goes);
    assert_true(closer_wait(closer, 10000));
    assert_int_equal(hung, 1);
    put(closer, NULL, &closed);
    closer_destroy(closer); /* waits for it */
    assert_int_equal(closed, 6);
    closer_destroy(NULL);
    sem_destroy(&goes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_hangs_holds_up_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
