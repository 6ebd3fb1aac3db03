/*
 * What an inode number is: the path, packed.
 *
 * A node id is a pure function of its path, so it is the same after every restart and on every
 * host, and a server needs no memory of what an earlier one handed out. All but single objects are
 * below 2³¹: four bits of kind and the hour's 27 (hour.h). A single object has the top bit, its
 * hour and 36 bits of a hash of its name, by which it is found in its hour's listing.
 */
#ifndef MACIEFS_NODE_H
#define MACIEFS_NODE_H

#include <maciefs/hour.h>
#include <stdint.h>

/* In an id, a folder's depth is part of the kind, since midnight looks like no hour at all. */
enum node_kind {
    NODE_ROOT,
    NODE_META,      /* .maciefs */
    NODE_STATUS,    /* .maciefs/status.json */
    NODE_METRICS,   /* .maciefs/metrics */
    NODE_TREE,      /* a folder of the hour tree, depth 1 … 4 */
    NODE_LOG,       /* an hour's log */
    NODE_WAZUH,     /* wazuh */
    NODE_WAZUH_LOG, /* an hour's file in it */
    NODE_OBJECTS,   /* .objects and the folders in it, depth 0 … 4 */
    NODE_OBJECT,    /* one object in it */
};

struct node {
    enum node_kind kind;
    hour_t hour;    /* label of the folder, log or object */
    unsigned depth; /* of a folder */
    uint64_t hash;  /* of an object's name */
};

uint64_t node_id(const struct node *node);

/* Returns false where no node has that id. */
bool node_of_id(uint64_t id, struct node *ret);

/* 36 bits, never 0: FNV-1a, folded. */
uint64_t node_hash(const char *name);

#endif
