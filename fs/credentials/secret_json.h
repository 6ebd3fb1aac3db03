/*
 * JSON that holds secrets: parsed by cJSON, and cleared before it is freed.
 */
#ifndef MACIEFS_CREDENTIALS_SECRET_JSON_H
#define MACIEFS_CREDENTIALS_SECRET_JSON_H

#include <cjson/cJSON.h>
#include <maciefs/bytes.h>
#include <stdbool.h>

/* Returns an object, to be freed by secret_json_free; NULL where the text is none, or without
 * memory. May be called by several threads. */
cJSON *secret_json_parse(const char *text, size_t len);

/* The text under a name; NULL where there is none, or an empty one. */
const char *secret_json_text(const cJSON *object, const char *name);

/* The number under a name where it is one from `least` to `most`; else -1. */
double secret_json_number(const cJSON *object, const char *name, double least, double most);

/* Puts a text under a name, in the place of all that was there. Returns 0 or -ENOMEM. */
int secret_json_set(cJSON *object, const char *name, const char *text);

/* Appends the object as text, as far as the buffer's limit reaches: else -EMSGSIZE; -ENOMEM. */
int secret_json_print(const cJSON *object, struct buf *ret);

/* Clears all its texts, and frees it. Accepts NULL. */
void secret_json_free(cJSON *object);

#endif
