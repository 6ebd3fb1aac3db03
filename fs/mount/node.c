#include <maciefs/node.h>

#include <string.h>

#define OBJECT_BIT (UINT64_C(1) << 63)
#define HASH_BITS 36
#define HASH_MASK ((UINT64_C(1) << HASH_BITS) - 1)
#define LABEL_MASK ((UINT64_C(1) << HOUR_BITS) - 1)

/* Kinds as they stand in an id, above the label. Those without a label are told apart by it. */
enum {
    ID_FIXED = 0, /* 1: the root (FUSE_ROOT_ID), 2 …: below */
    ID_TREE = 1,  /* 1 … 4, by depth */
    ID_LOG = 5,
    ID_OBJECTS = 6, /* 6 … 9, by depth */
    ID_WAZUH_LOG = 10,
};
enum { FIXED_ROOT = 1, FIXED_META, FIXED_STATUS, FIXED_METRICS, FIXED_OBJECTS, FIXED_WAZUH };

static uint64_t pack(unsigned kind, uint64_t label) {
    return (uint64_t)kind << HOUR_BITS | label;
}

uint64_t node_id(const struct node *node) {
    switch (node->kind) {
    case NODE_ROOT:
        return pack(ID_FIXED, FIXED_ROOT);
    case NODE_META:
        return pack(ID_FIXED, FIXED_META);
    case NODE_STATUS:
        return pack(ID_FIXED, FIXED_STATUS);
    case NODE_METRICS:
        return pack(ID_FIXED, FIXED_METRICS);
    case NODE_TREE:
        return pack(ID_TREE - 1 + node->depth, node->hour);
    case NODE_LOG:
        return pack(ID_LOG, node->hour);
    case NODE_WAZUH:
        return pack(ID_FIXED, FIXED_WAZUH);
    case NODE_WAZUH_LOG:
        return pack(ID_WAZUH_LOG, node->hour);
    case NODE_OBJECTS:
        return node->depth == 0 ? pack(ID_FIXED, FIXED_OBJECTS)
                                : pack(ID_OBJECTS - 1 + node->depth, node->hour);
    case NODE_OBJECT:
        return OBJECT_BIT | (uint64_t)node->hour << HASH_BITS | node->hash;
    }
    return 0;
}

static bool fixed_of_label(uint64_t label, struct node *ret) {
    static const enum node_kind kinds[] = {
        [FIXED_ROOT] = NODE_ROOT,       [FIXED_META] = NODE_META,
        [FIXED_STATUS] = NODE_STATUS,   [FIXED_METRICS] = NODE_METRICS,
        [FIXED_OBJECTS] = NODE_OBJECTS, [FIXED_WAZUH] = NODE_WAZUH};
    if (label < FIXED_ROOT || label > FIXED_WAZUH)
        return false;
    *ret = (struct node){.kind = kinds[label]};
    return true;
}

/* Whether some path has this label: its components can be read back, and nothing else is in it. */
static bool is_label(hour_t label, unsigned depth) {
    char path[HOUR_PATH_LEN + 1];
    hour_t folder = 0;
    for (unsigned i = 0; i < depth; i++) {
        hour_path(label, i + 1, path);
        const char *slash = strrchr(path, '/');
        if (!hour_child(folder, i, slash ? slash + 1 : path, &folder))
            return false;
    }
    return folder == label;
}

static bool object_of_id(uint64_t id, struct node *ret) {
    const struct node node = {.kind = NODE_OBJECT,
                              .hour = (hour_t)(id >> HASH_BITS & LABEL_MASK),
                              .hash = id & HASH_MASK};
    if (!node.hash || !is_label(node.hour, HOUR_DEPTH))
        return false;
    *ret = node;
    return true;
}

/* What a kind and label would be. Returns false where there is no such kind. */
static bool node_of_kind(uint64_t kind, hour_t label, struct node *ret) {
    if (kind < ID_LOG)
        *ret = (struct node){NODE_TREE, label, (unsigned)kind - ID_TREE + 1, 0};
    else if (kind == ID_LOG)
        *ret = (struct node){.kind = NODE_LOG, .hour = label};
    else if (kind < ID_WAZUH_LOG)
        *ret = (struct node){NODE_OBJECTS, label, (unsigned)kind - ID_OBJECTS + 1, 0};
    else if (kind == ID_WAZUH_LOG)
        *ret = (struct node){.kind = NODE_WAZUH_LOG, .hour = label};
    else
        return false;
    return true;
}

bool node_of_id(uint64_t id, struct node *ret) {
    uint64_t kind = id >> HOUR_BITS;
    hour_t label = (hour_t)(id & LABEL_MASK);
    struct node node;
    if (id & OBJECT_BIT)
        return object_of_id(id, ret);
    if (kind == ID_FIXED)
        return fixed_of_label(label, ret);
    if (!node_of_kind(kind, label, &node) || !is_label(label, node.depth ? node.depth : HOUR_DEPTH))
        return false;
    *ret = node;
    return true;
}

uint64_t node_hash(const char *name) {
    uint64_t hash = UINT64_C(14695981039346656037);
    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * UINT64_C(1099511628211);
    hash = (hash ^ hash >> HASH_BITS) & HASH_MASK;
    return hash ? hash : 1;
}
