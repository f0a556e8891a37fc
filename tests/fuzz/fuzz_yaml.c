/* YAML comes from users and from the network. */
#include "base/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every promise of the tree that readers build on. Recursion is safe just because of them. */
static uint32_t walk(const struct yaml_node *node, const struct yaml_node *map, uint32_t depth) {
    uint32_t children = 0, nodes = 1;

    if (depth >= YAML_DEPTH_MAX || !node->text || !node->line || !node->column ||
        (node->key != NULL) != (map != NULL))
        __builtin_trap();
    if (map && yaml_get(map, node->key) != node)
        __builtin_trap();
    for (const struct yaml_node *child = node->child; child; child = child->next, children++)
        nodes += walk(child, node->kind == YAML_MAPPING ? node : NULL, depth + 1);
    if (children != node->count || (node->kind == YAML_SCALAR && children))
        __builtin_trap();
    return nodes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO_YAML struct yaml *yaml = NULL;
    struct opiml_error err = {0};
    int rc = yaml_parse((const char *)data, size, "fuzz.yaml", &yaml, &err);

    if ((rc < 0) != (yaml == NULL) || (rc < 0) != (err.message[0] != 0))
        __builtin_trap();
    if (yaml && walk(yaml->root, NULL, 0) > 65536)
        __builtin_trap();
    return 0;
}
