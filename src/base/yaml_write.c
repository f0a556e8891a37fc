/* YAML documents back into text. */
#include "base/text.h"
#include "base/yaml.h"

static void write_quoted(const char *from, struct text *to) {
    text_add(to, "\"");
    for (; *from; from++) {
        if (*from == '"' || *from == '\\')
            text_printf(to, "\\%c", *from);
        else if ((unsigned char)*from < ' ' || *from == 0x7f)
            text_printf(to, "\\x%02x", (unsigned char)*from);
        else
            text_add_bytes(to, from, 1);
    }
    text_add(to, "\"");
}

/* What is plain stays so where it can, since a quoted number is a text. */
static void write_scalar(const struct yaml_node *node, struct text *to) {
    const char *text = node->text;
    size_t plain = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_./+-");

    if (!node->quoted && !text[0])
        text_add(to, "null");
    else if (!node->quoted && !text[plain])
        text_add(to, text);
    else
        write_quoted(text, to);
}

void yaml_write(const struct yaml_node *node, struct text *to) {
    if (node->kind == YAML_SCALAR) {
        write_scalar(node, to);
        return;
    }
    text_add(to, node->kind == YAML_MAPPING ? "{" : "[");
    for (const struct yaml_node *child = node->child; child; child = child->next) {
        if (node->kind == YAML_MAPPING) {
            write_quoted(child->key, to);
            text_add(to, ": ");
        }
        yaml_write(child, to);
        text_add(to, child->next ? ", " : "");
    }
    text_add(to, node->kind == YAML_MAPPING ? "}" : "]");
}
