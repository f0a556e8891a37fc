#include "queue_cases.h"

int main(void) {
    const struct CMUnitTest tests[] = {QUEUE_CASES};
    setenv("OPIML_IO", "pread", 1);
    return cmocka_run_group_tests(tests, bed_setup, bed_teardown);
}
