/* The part of the tree that is wazuh/. */
#ifndef MACIEFS_TREE_WAZUH_H
#define MACIEFS_TREE_WAZUH_H

#include <maciefs/tree.h>

/* Errors and parameters of all three are those of tree.h's functions. */
int tree_wazuh_lookup(struct tree *tree, const char *name, struct node *ret);
int tree_wazuh_attributes(struct tree *tree, hour_t hour, struct stat *ret);
int tree_wazuh_list(struct tree *tree, uint64_t after, tree_visitor visit, void *ctx);

#endif
