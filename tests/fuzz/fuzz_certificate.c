/* A hostile certificate: read, described and judged by itself. */
#include "tls/certificate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    CLEANUP(certificate_free) struct x509_st *x509 = NULL;
    struct certificate what;

    if (certificate_parse((const char *)data, size, "x.crt", &x509, NULL) < 0)
        return 0;
    certificate_describe(x509, &what);
    certificate_check_time(&what, 1700000000, "x.crt", NULL);
    certificate_problem(x509, x509);
    return 0;
}
