/* Flat files of token numbers, as trainers of language models map them into memory (nanoGPT's
 * train.bin, Megatron-LM's .bin): a record is a sequence of `length` tokens. Sequences of a file
 * begin `stride` tokens apart, so that with length = context + 1 and stride = context each token is
 * once a target. What is left at a file's end is no sequence. */
#include "dataset/format.h"

enum { TOKENS_U16, TOKENS_U32 };

struct tokens_params {
    uint32_t type, length, stride, vocabulary;
    uint64_t header_bytes;
};

static const struct opiml_param tokens_params[] = {
    {"length", NULL, "Tokens of a sequence", offsetof(struct tokens_params, length),
     OPIML_PARAM_U32, NULL, 1, 1 << 24},
    {"stride", "0", "Tokens from one sequence's beginning to the next one's; 0: length",
     offsetof(struct tokens_params, stride), OPIML_PARAM_U32, NULL, 0, 1 << 24},
    {"type", "u16", "How a token is stored, little-endian; u32 is delivered as i32",
     offsetof(struct tokens_params, type), OPIML_PARAM_CHOICE, "u16|u32"},
    {"vocabulary", "0",
     "A sequence with a token that is not below makes a bad record; 0: any token is fine",
     offsetof(struct tokens_params, vocabulary), OPIML_PARAM_U32},
    {"header_bytes", "0", "Bytes before the first token of each file",
     offsetof(struct tokens_params, header_bytes), OPIML_PARAM_U64},
    {NULL},
};

static bool tokens_takes(const char *key) {
    static const char *const extensions[] = {"bin", "tok", "tokens", NULL};
    return format_has_extension(key, extensions);
}

static uint32_t token_bytes(const struct tokens_params *params) {
    return params->type == TOKENS_U16 ? 2 : 4;
}

static uint64_t stride_bytes(const struct tokens_params *params) {
    return (uint64_t)(params->stride ? params->stride : params->length) * token_bytes(params);
}

static int make_schema(const struct tokens_params *params, struct opiml_schema *schema,
                       struct opiml_error *err) {
    return opiml_schema_add(schema, "tokens", params->type == TOKENS_U16 ? OPIML_U16 : OPIML_I32, 1,
                            (int64_t[]){params->length}, 0, err);
}

static int tokens_build(struct source *source, const struct source_listing *listing,
                        const void *params, struct index_draft *draft, struct opiml_error *err) {
    const struct tokens_params *tokens = params;
    uint32_t each = token_bytes(tokens);
    if (tokens->length == 0) /* opened without a pipeline file */
        return opiml_fail(err, OPIML_EINVAL,
                          "format tokens: say how many make a sequence, which takes a pipeline "
                          "file: dataset: {uri: ..., format: tokens, length: 1024}");
    draft->record_bytes = (uint64_t)tokens->length * each;
    draft->stride_bytes = stride_bytes(tokens);
    draft->lead_bytes = tokens->header_bytes;
    draft->first = base_alloc_array(listing->count, sizeof(*draft->first));
    if (!draft->first)
        return base_fail_memory(err, listing->count * sizeof(*draft->first), "an index");
    for (size_t i = 0; i < listing->count; i++) {
        const struct source_object *object = &listing->objects[i];
        if (object->bytes < tokens->header_bytes ||
            (object->bytes - tokens->header_bytes) % each != 0)
            return opiml_fail(err, OPIML_ECORRUPT,
                              "%s%s: %" PRIu64 " bytes are no whole number of %s tokens behind "
                              "%" PRIu64 " bytes of header; see type and header_bytes",
                              source->prefix, object->key, object->bytes, each == 2 ? "u16" : "u32",
                              tokens->header_bytes);
        draft->first[i] = draft->like_records;
        draft->like_records +=
            index_alike(object->bytes, draft->lead_bytes, draft->record_bytes, draft->stride_bytes);
    }
    return make_schema(tokens, &draft->schema, err);
}

static bool tokens_check(const struct index *index, const void *params) {
    const struct tokens_params *tokens = params;
    const struct index_header *header = index->header;
    struct opiml_schema schema = {0};
    return tokens->length > 0 && make_schema(tokens, &schema, NULL) == 0 &&
           header->record_bytes == (uint64_t)tokens->length * token_bytes(tokens) &&
           header->stride_bytes == stride_bytes(tokens) &&
           header->lead_bytes == tokens->header_bytes && index->schema.count == 1 &&
           memcmp(schema.fields, index->schema.fields, sizeof(schema.fields[0])) == 0;
}

/* The largest token. */
static uint32_t largest(const struct tokens_params *params, const uint8_t *data) {
    uint32_t most = 0;
    for (uint32_t i = 0; i < params->length; i++) {
        uint32_t token = 0;
        memcpy(&token, data + (size_t)i * token_bytes(params), token_bytes(params));
        most = token > most ? token : most;
    }
    return most;
}

static int tokens_parse(const struct index *index, const void *params, uint64_t record,
                        const struct source_bytes *from, struct opiml_value *values,
                        uint8_t *scratch, struct opiml_error *err) {
    const struct tokens_params *tokens = params;
    uint32_t limit = tokens->vocabulary           ? tokens->vocabulary
                     : tokens->type == TOKENS_U32 ? (uint32_t)INT32_MAX + 1
                                                  : UINT16_MAX + 1;
    if (from->bytes != index->header->record_bytes)
        return opiml_fail(err, OPIML_ECORRUPT, "a sequence of %u bytes", from->bytes);
    if (limit <= UINT16_MAX || tokens->type == TOKENS_U32) {
        uint32_t most = largest(tokens, from->at);
        if (most >= limit)
            return opiml_fail(err, OPIML_ECORRUPT, "token %u; the vocabulary has %u", most, limit);
    }
    format_take(&index->schema.fields[0], from->at, from->bytes, &scratch, &values[0]);
    return 0;
}

static uint64_t tokens_scratch(const struct index *index) {
    return base_align_up(index->header->record_bytes, 8);
}

const struct format format_tokens = {
    .name = "tokens",
    .help = "Flat files of u16 or u32 tokens; a record is a sequence of so many",
    .params = tokens_params,
    .params_bytes = sizeof(struct tokens_params),
    .shards = true,
    .takes = tokens_takes,
    .build = tokens_build,
    .check = tokens_check,
    .parse = tokens_parse,
    .scratch_bytes = tokens_scratch,
};
