/* YAML (over libfyaml's event parser). */
#include "base/yaml.h"

#include <libfyaml.h>
#include <stdarg.h>

#include "base/file.h"
#include "base/text.h"

#define ANCHORS_MAX 64
#define NODES_MAX 65536 /* of the whole document, with what aliases repeat */
#define KEYS_MAX 4096   /* of one mapping: each new key is compared with those before it */

/* Everything of a document comes from a chain of blocks that is freed with it. */
struct block {
    struct block *next;
    size_t used, room;
    _Alignas(16) char at[];
};

struct anchor {
    const char *name;
    const struct yaml_node *node;
    uint32_t weight, height; /* nodes below and including it, and levels */
};

struct builder {
    struct yaml *yaml;
    struct block *blocks;
    struct fy_parser *parser;
    struct fy_diag *diag;
    struct anchor anchors[ANCHORS_MAX];
    uint32_t anchor_count, node_count;
    uint32_t line, column; /* the last place seen, for what has none of its own */
    struct opiml_error *err;
};

static void *take(struct builder *self, size_t bytes) {
    struct block *block = self->blocks;

    bytes = base_align_up(bytes, 16);
    if (!block || block->room - block->used < bytes) {
        size_t room = base_max_u64(bytes, 8192);

        block = base_alloc(sizeof(*block) + room);
        if (!block)
            return NULL;
        block->room = room;
        block->next = self->blocks;
        self->blocks = block;
    }
    block->used += bytes;
    return block->at + block->used - bytes;
}

static int out_of_memory(struct builder *self) {
    return base_fail_memory(self->err, sizeof(struct yaml_node), self->yaml->name);
}

/* A token's text, in the document's memory. Piece by piece, since fy_token_get_text of libfyaml
 * 0.7.12 loses memory on texts with many escapes. */
static int take_text(struct builder *self, struct fy_token *token, char **ret_text,
                     size_t *ret_bytes) {
    struct fy_token_iter *pieces = NULL;
    const struct fy_iter_chunk *piece = NULL;
    AUTO_TEXT struct text text = {0};
    int problem = 0;
    char *copy;

    if (token && !(pieces = fy_token_iter_create(token)))
        return out_of_memory(self);
    while (pieces && (piece = fy_token_iter_chunk_next(pieces, piece, &problem)))
        text_add_bytes(&text, piece->str, piece->len);
    fy_token_iter_destroy(pieces);
    copy = problem || text.failed ? NULL : take(self, text.count + 1);
    if (!copy)
        return out_of_memory(self);
    if (text.count)
        memcpy(copy, text.at, text.count);
    copy[text.count] = 0;
    *ret_text = copy;
    *ret_bytes = text.count;
    return 0;
}

static int fail_at(struct builder *self, const struct yaml_node *node, const char *what,
                   const char *name) {
    return opiml_fail(self->err, OPIML_EINVAL, "%.300s:%u:%u: %s%.100s", self->yaml->name,
                      node->line, node->column, what, name);
}

/* libfyaml's first complaint. */
static int fail_syntax(struct builder *self) {
    void *at = NULL;
    struct fy_diag_error *problem = fy_diag_errors_iterate(self->diag, &at);

    if (!problem || !problem->msg)
        return opiml_fail(self->err, OPIML_EINVAL, "%.300s: no YAML document", self->yaml->name);
    return opiml_fail(self->err, OPIML_EINVAL, "%.300s:%d:%d: %s", self->yaml->name,
                      problem->line > 0 ? problem->line : 1,
                      problem->column > 0 ? problem->column : 1, problem->msg);
}

/* libfyaml counts from 0, and its tokens start behind a quote or an alias's star. A value that is
 * left out has no place, or by version 0.8 one behind its key: it gets its key's. */
static void mark(struct builder *self, struct yaml_node *node, struct fy_token *token, bool alias) {
    const struct fy_mark *start = token ? fy_token_start_mark(token) : NULL;
    enum fy_scalar_style style = token ? fy_token_scalar_style(token) : FYSS_ANY;
    bool behind = alias || style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED;
    bool left_out =
        node->kind == YAML_SCALAR && style == FYSS_PLAIN && fy_token_get_text_length(token) == 0;

    if (start && !left_out) {
        self->line = (uint32_t)start->line + 1;
        self->column = (uint32_t)start->column + 1 - (behind && start->column > 0);
    }
    node->line = self->line;
    node->column = self->column;
}

static int count_nodes(struct builder *self, uint32_t count) {
    if (count > NODES_MAX - self->node_count)
        return opiml_fail(self->err, OPIML_ELIMIT, "%.300s:%u:%u: more than %d values",
                          self->yaml->name, self->line, self->column, NODES_MAX);
    self->node_count += count;
    return 0;
}

static int new_node(struct builder *self, enum yaml_kind kind, struct fy_token *token, bool alias,
                    struct yaml_node **ret_node) {
    struct yaml_node *node;
    int rc = count_nodes(self, 1);

    if (rc < 0)
        return rc;
    node = take(self, sizeof(*node));
    if (!node)
        return out_of_memory(self);
    *node = (struct yaml_node){.kind = kind, .text = ""};
    mark(self, node, token, alias);
    *ret_node = node;
    return 0;
}

/* ---- anchors and aliases ---- */

static uint32_t height(const struct yaml_node *node) {
    uint32_t most = 0;

    for (const struct yaml_node *child = node->child; child; child = child->next)
        most = (uint32_t)base_max_u64(most, height(child));
    return most + 1;
}

static int keep_anchor(struct builder *self, struct fy_token *token, const struct yaml_node *node,
                       uint32_t weight) {
    struct anchor *anchor = &self->anchors[self->anchor_count];
    size_t bytes;
    char *name;
    int rc;

    if (!token)
        return 0;
    if (self->anchor_count == ANCHORS_MAX)
        return fail_at(self, node, "more anchors than are kept", "");
    if ((rc = take_text(self, token, &name, &bytes)) < 0)
        return rc;
    *anchor = (struct anchor){name, node, weight, height(node)};
    self->anchor_count++;
    return 0;
}

/* An alias is a copy of the node that shares its children. It counts as if it were written out,
 * both in nodes and in levels, so that whoever walks the tree meets no more than the limits say. An
 * anchor is known only behind its node: none can hold itself. */
static int follow_alias(struct builder *self, struct fy_token *token, uint32_t depth,
                        struct yaml_node **ret_node) {
    const struct anchor *anchor = NULL;
    struct yaml_node *node = NULL;
    size_t bytes;
    char *name;
    int rc;

    if ((rc = new_node(self, YAML_SCALAR, token, true, &node)) < 0 ||
        (rc = take_text(self, token, &name, &bytes)) < 0)
        return rc;
    for (uint32_t i = self->anchor_count; i-- > 0 && !anchor;) /* the latest of a name counts */
        if (strcmp(self->anchors[i].name, name) == 0)
            anchor = &self->anchors[i];
    if (!anchor)
        return fail_at(self, node, "no anchor before this alias: *", name);
    if (depth + anchor->height > YAML_DEPTH_MAX)
        return fail_at(self, node, "nested too deeply", "");
    if ((rc = count_nodes(self, anchor->weight - 1)) < 0)
        return rc;
    node->kind = anchor->node->kind;
    node->text = anchor->node->text;
    node->quoted = anchor->node->quoted;
    node->child = anchor->node->child;
    node->count = anchor->node->count;
    *ret_node = node;
    return 0;
}

/* ---- nodes ---- */

static int read_node(struct builder *self, struct fy_event *event, uint32_t depth,
                     struct yaml_node **ret_node);

/* The next event; its end is `end` (then *ret_node is NULL) or the start of a node. */
static int next_node(struct builder *self, enum fy_event_type end, uint32_t depth,
                     struct yaml_node **ret_node) {
    struct fy_event *event = fy_parser_parse(self->parser);
    int rc = 0;

    *ret_node = NULL;
    if (!event)
        return fail_syntax(self);
    if (event->type != end)
        rc = read_node(self, event, depth, ret_node);
    fy_parser_event_free(self->parser, event);
    return rc;
}

static void append(struct yaml_node *parent, struct yaml_node **last, struct yaml_node *node) {
    if (*last)
        (*last)->next = node;
    else
        parent->child = node;
    *last = node;
    parent->count++;
}

static int read_sequence(struct builder *self, struct yaml_node *list, uint32_t depth) {
    struct yaml_node *last = NULL, *node;
    int rc;

    while ((rc = next_node(self, FYET_SEQUENCE_END, depth, &node)) == 0 && node)
        append(list, &last, node);
    return rc;
}

static int check_key(struct builder *self, const struct yaml_node *map,
                     const struct yaml_node *key) {
    const struct yaml_node *first;

    if (key->kind != YAML_SCALAR)
        return fail_at(self, key, "a key is a plain text", "");
    if (map->count == KEYS_MAX)
        return opiml_fail(self->err, OPIML_ELIMIT, "%.300s:%u:%u: more than %d keys",
                          self->yaml->name, key->line, key->column, KEYS_MAX);
    first = yaml_get(map, key->text);
    if (first)
        return opiml_fail(self->err, OPIML_EINVAL,
                          "%.300s:%u:%u: key \"%.100s\" stands here twice (first in line %u)",
                          self->yaml->name, key->line, key->column, key->text, first->key_line);
    return 0;
}

static int read_mapping(struct builder *self, struct yaml_node *map, uint32_t depth) {
    struct yaml_node *last = NULL, *key, *value;
    int rc;

    while ((rc = next_node(self, FYET_MAPPING_END, depth, &key)) == 0 && key) {
        if ((rc = check_key(self, map, key)) < 0 ||
            (rc = next_node(self, FYET_NONE, depth, &value)) < 0)
            return rc;
        value->key = key->text;
        value->key_line = key->line;
        value->key_column = key->column;
        append(map, &last, value);
    }
    return rc;
}

static bool is_null(const char *text) {
    return strcmp(text, "~") == 0 || strcmp(text, "null") == 0 || strcmp(text, "Null") == 0 ||
           strcmp(text, "NULL") == 0;
}

static int read_scalar(struct builder *self, struct fy_token *token, struct yaml_node *node) {
    enum fy_scalar_style style = token ? fy_token_scalar_style(token) : FYSS_PLAIN;
    size_t bytes;
    char *text;
    int rc;

    if ((rc = take_text(self, token, &text, &bytes)) < 0)
        return rc;
    if (strlen(text) != bytes)
        return fail_at(self, node, "a text with a zero byte", "");
    node->text = text;
    node->quoted = style != FYSS_PLAIN && style != FYSS_ANY;
    if (!node->quoted && is_null(node->text))
        node->text = "";
    return 0;
}

/* What the three events that start a node have in common. */
struct start {
    enum yaml_kind kind;
    struct fy_token *token, *anchor, *tag;
};

static bool start_of(struct fy_event *event, struct start *ret_start) {
    switch (event->type) {
    case FYET_SCALAR:
        *ret_start = (struct start){YAML_SCALAR, event->scalar.value, event->scalar.anchor,
                                    event->scalar.tag};
        return true;
    case FYET_SEQUENCE_START:
        *ret_start = (struct start){YAML_SEQUENCE, event->sequence_start.sequence_start,
                                    event->sequence_start.anchor, event->sequence_start.tag};
        return true;
    case FYET_MAPPING_START:
        *ret_start = (struct start){YAML_MAPPING, event->mapping_start.mapping_start,
                                    event->mapping_start.anchor, event->mapping_start.tag};
        return true;
    default: return false;
    }
}

static int read_node(struct builder *self, struct fy_event *event, uint32_t depth,
                     struct yaml_node **ret_node) {
    uint32_t before = self->node_count;
    struct yaml_node *node = NULL;
    struct start start;
    int rc;

    if (event->type == FYET_ALIAS)
        return follow_alias(self, event->alias.anchor, depth, ret_node);
    if (!start_of(event, &start))
        return opiml_fail(self->err, OPIML_EINVAL, "%.300s:%u:%u: the document ends too early",
                          self->yaml->name, self->line, self->column);
    if ((rc = new_node(self, start.kind, start.token, false, &node)) < 0)
        return rc;
    if (depth == YAML_DEPTH_MAX)
        return fail_at(self, node, "nested too deeply", "");
    if (start.tag) /* to pass over "!include" would be worse than to refuse "!!str" */
        return fail_at(self, node, "tags such as \"!this\" are not taken: leave it away", "");
    rc = start.kind == YAML_SCALAR     ? read_scalar(self, start.token, node)
         : start.kind == YAML_SEQUENCE ? read_sequence(self, node, depth + 1)
                                       : read_mapping(self, node, depth + 1);
    if (rc == 0)
        rc = keep_anchor(self, start.anchor, node, self->node_count - before);
    if (rc == 0)
        *ret_node = node;
    return rc;
}

/* ---- documents ---- */

/* Stream start, document start, one node; what follows must be the end. */
static int read_document(struct builder *self) {
    struct fy_event *event;
    struct yaml_node *root = NULL;
    bool first = true;
    int rc = 0;

    while (rc == 0 && (event = fy_parser_parse(self->parser))) {
        switch (event->type) {
        case FYET_STREAM_START:
        case FYET_STREAM_END:
        case FYET_DOCUMENT_END: break;
        case FYET_DOCUMENT_START:
            if (!first)
                rc = opiml_fail(self->err, OPIML_EINVAL, "%.300s: more than one document",
                                self->yaml->name);
            first = false;
            break;
        default: rc = read_node(self, event, 0, &root);
        }
        fy_parser_event_free(self->parser, event);
    }
    if (rc == 0 && (!root || fy_diag_got_error(self->diag)))
        rc = fail_syntax(self);
    self->yaml->root = root;
    return rc;
}

/* With libfyaml's objects in `self` made, as far as they could be. */
static int parse_text(struct builder *self, const char *data, size_t bytes) {
    struct fy_diag_cfg diag_config;
    struct fy_parse_cfg config = {.flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG};

    fy_diag_cfg_default(&diag_config);
    diag_config.fp = NULL; /* complaints are collected, not printed */
    self->diag = fy_diag_create(&diag_config);
    if (!self->diag)
        return out_of_memory(self);
    fy_diag_set_collect_errors(self->diag, true);
    config.diag = self->diag;
    self->parser = fy_parser_create(&config);
    if (!self->parser || fy_parser_set_string(self->parser, data, bytes) != 0)
        return out_of_memory(self);
    return read_document(self);
}

/* libfyaml 0.7.12 takes a zero byte for the end and passes over the rest in silence, and it never
 * comes back from broken UTF-8 in a directive. So it only gets what a YAML text may be made of. */
static int check_text(const char *data, size_t bytes, const char *name, struct opiml_error *err) {
    uint32_t line = 1, column = 1;

    for (size_t i = 0, length; i < bytes; i += length, column++) {
        unsigned char byte = (unsigned char)data[i];

        length = text_utf8_bytes(data + i, bytes - i);
        if (length == 0)
            return opiml_fail(err, OPIML_EINVAL, "%.300s:%u:%u: byte 0x%02x is not UTF-8", name,
                              line, column, byte);
        if ((byte < ' ' && !strchr("\t\n\r", byte)) || byte == 0 || byte == 0x7f)
            return opiml_fail(err, OPIML_EINVAL, "%.300s:%u:%u: control character 0x%02x", name,
                              line, column, byte);
        if (byte == '\n') {
            line++;
            column = 0;
        }
    }
    return 0;
}

int yaml_parse(const char *data, size_t bytes, const char *name, struct yaml **ret_yaml,
               struct opiml_error *err) {
    AUTO_YAML struct yaml *yaml = base_alloc(sizeof(*yaml));
    struct builder self = {.yaml = yaml, .err = err, .line = 1, .column = 1};
    AUTO_FREE char *copy = NULL;
    int rc;

    if (!yaml || !(yaml->name = base_strdup(name)))
        return base_fail_memory(err, sizeof(*yaml), name);
    if (bytes > YAML_BYTES_MAX)
        return opiml_fail(err, OPIML_ELIMIT, "%.300s: %zu bytes; at most %" PRIu64 " are read",
                          name, bytes, YAML_BYTES_MAX);
    if (bytes == 0)
        return opiml_fail(err, OPIML_EINVAL, "%.300s: no YAML document", name);
    if ((rc = check_text(data, bytes, name, err)) < 0)
        return rc;
    /* With a line's end behind it, since libfyaml 0.7.12 reads past a text that ends in "|". */
    copy = base_alloc(bytes + 2);
    if (!copy)
        return base_fail_memory(err, bytes, name);
    memcpy(copy, data, bytes);
    copy[bytes] = '\n';
    rc = parse_text(&self, copy, bytes + (data[bytes - 1] != '\n'));
    if (self.parser)
        fy_parser_destroy(self.parser);
    if (self.diag)
        fy_diag_destroy(self.diag);
    yaml->memory = self.blocks;
    if (rc == 0)
        *ret_yaml = TAKE(yaml);
    return rc;
}

int yaml_load(const char *path, struct yaml **ret_yaml, struct opiml_error *err) {
    AUTO_FREE char *data = NULL;
    size_t bytes;
    int rc = file_read(path, YAML_BYTES_MAX, &data, &bytes, err);

    return rc < 0 ? rc : yaml_parse(data, bytes, path, ret_yaml, err);
}

void yaml_free(struct yaml *yaml) {
    if (!yaml)
        return;
    for (struct block *block = yaml->memory, *next; block; block = next) {
        next = block->next;
        base_free(block);
    }
    base_free(yaml->name);
    base_free(yaml);
}

void yaml_free_at(struct yaml **yaml) {
    yaml_free(*yaml);
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key) {
    if (!map || map->kind != YAML_MAPPING)
        return NULL;
    for (const struct yaml_node *node = map->child; node; node = node->next)
        if (strcmp(node->key, key) == 0)
            return node;
    return NULL;
}

static int fail_line(const char *name, uint32_t line, uint32_t column, struct opiml_error *err,
                     const char *format, va_list arguments) {
    char text[sizeof(err->message)];

    vsnprintf(text, sizeof(text), format, arguments);
    if (!name[0]) /* made up from what a command line says */
        return opiml_fail(err, OPIML_EINVAL, "%s", text);
    return opiml_fail(err, OPIML_EINVAL, "%.300s:%u:%u: %s", name, line, column, text);
}

int yaml_fail(const struct yaml *yaml, const struct yaml_node *at, struct opiml_error *err,
              const char *format, ...) {
    va_list arguments;
    int rc;

    va_start(arguments, format);
    rc = fail_line(yaml->name, at->line, at->column, err, format, arguments);
    va_end(arguments);
    return rc;
}

int yaml_fail_key(const struct yaml *yaml, const struct yaml_node *at, struct opiml_error *err,
                  const char *format, ...) {
    bool key = at->key != NULL;
    va_list arguments;
    int rc;

    va_start(arguments, format);
    rc = fail_line(yaml->name, key ? at->key_line : at->line, key ? at->key_column : at->column,
                   err, format, arguments);
    va_end(arguments);
    return rc;
}
