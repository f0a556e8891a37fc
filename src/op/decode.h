/* The parameters of `decode`, which fusion hands on. */
#ifndef OP_DECODE_H
#define OP_DECODE_H

#include <opiml/op.h>

struct decode_params {
    char field[OPIML_TEXT_MAX];
    uint64_t max_pixels;
    /* derived */
    uint32_t index;
};

#endif
