#include "dataset/texts.h"

#include "dataset/convert_job.h"
#include "dataset/number.h"
#include "dataset/writer.h"

#define LOOK_ROWS 1000
#define SHOWN_BYTES 60

static bool is_number(const struct opiml_value *value, locale_t locale) {
    uint64_t bits;
    return number_float(value->data, (uint32_t)value->bytes, false, locale, &bits);
}

static void add_example(const struct dataset *dataset, uint64_t record,
                        const struct opiml_value *value, struct text *to) {
    char shown[SHOWN_BYTES], where[1024];
    text_show(shown, sizeof(shown), 0, (const char *)value->data, value->bytes);
    text_printf(to, "\"%s\" (%s)", shown, dataset_line(dataset, record, where, sizeof(where)));
}

bool texts_example(const struct dataset *dataset, const char *field, struct text *to) {
    CLEANUP(convert_record_release) struct convert_record record = {0};
    const char *format = dataset_format_name(dataset);
    int f = opiml_schema_find(dataset_schema(dataset), field);
    bool table = strcmp(format, "csv") == 0 || strcmp(format, "jsonl") == 0, found = false;
    if (!table || f < 0 || !write_is_text(&dataset_schema(dataset)->fields[f]))
        return false;
    uint64_t rows = base_min_u64(dataset_count(dataset), LOOK_ROWS);
    locale_t locale = number_locale();
    if (!locale)
        return false;
    for (uint64_t i = 0; i < rows && !found; i++) {
        struct opiml_error ignored;
        const struct opiml_value *value = &record.values[f];
        found = convert_record_read(&record, dataset, i, &ignored) == 0 &&
                !is_number(value, locale) && write_reads_as_text(value);
        if (found)
            add_example(dataset, i, value, to);
    }
    freelocale(locale);
    return found;
}
