/*
 * JSON that holds secrets: parsed by cJSON, and cleared before it is freed.
 */
#ifndef MACIEFS_S3_JSON_H
#define MACIEFS_S3_JSON_H

#include <cjson/cJSON.h>
#include <maciefs/bytes.h>
#include <stdbool.h>

/* Returns an object, to be freed by json_free_secret; NULL where the text is none, or without
 * memory. May be called by several threads. */
cJSON *json_parse_object(const char *text, size_t len);

/* The text under a name; NULL where there is none, or an empty one. */
const char *json_text(const cJSON *object, const char *name);

/* The number under a name where it is one from `least` to `most`; else -1. */
double json_number(const cJSON *object, const char *name, double least, double most);

/* Puts a text under a name, in the place of what was there. Returns 0 or -ENOMEM. */
int json_set_text(cJSON *object, const char *name, const char *text);

/* Appends the object as text, as far as the buffer's limit reaches: else -EMSGSIZE; -ENOMEM. */
int json_print(const cJSON *object, struct buf *ret);

/* Clears all its texts, and frees it. Accepts NULL. */
void json_free_secret(cJSON *object);

#endif
