/* JSON lines: parameters first, then one or several files. */
#include "records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const keys[] = {"0.jsonl", "1.jsonl", "2.jsonl", "3.jsonl", "4.jsonl",
                                       "5.jsonl", "6.jsonl", "7.jsonl", "8.jsonl", "9.jsonl"};

    records_fuzz("jsonl", keys, data, size);
    return 0;
}
