/* Hostile certificates: read, described and judged by each other. */
#include "tls/certificate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    CLEANUP(certificate_free_all) struct stack_st_X509 *all = NULL;
    struct certificate what;

    if (certificate_parse_all((const char *)data, size, "x.crt", &all, NULL) < 0)
        return 0;
    certificate_describe(certificate_first(all), &what);
    certificate_check_time(&what, 1700000000, "x.crt", NULL);
    certificate_problem(all, all);
    return 0;
}
