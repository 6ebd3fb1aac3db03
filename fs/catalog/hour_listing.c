#include <maciefs/hour_listing.h>

#include <maciefs/clock.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Far more than an hour can hold; what a hostile source may make us keep of one. */
#define HOUR_OBJECTS_MAX (2u << 20)

void hour_builder_init(struct hour_builder *builder, hour_t hour) {
    builder->hour = hour;
    buf_init(&builder->objects, HOUR_OBJECTS_MAX * sizeof(struct object));
    buf_init(&builder->keys, (size_t)HOUR_OBJECTS_MAX * OBJECT_KEY_MAX);
}

int hour_builder_add(struct hour_builder *builder, const struct object *object) {
    struct object copy = *object;
    copy.key = (const char *)(uintptr_t)builder->keys.len;
    int err = buf_append(&builder->keys, object->key, strlen(object->key) + 1);
    return err ? err : buf_append(&builder->objects, &copy, sizeof copy);
}

int hour_builder_finish(struct hour_builder *builder, int64_t now, struct counted_listing **ret) {
    size_t bytes = sizeof **ret + builder->objects.len + builder->keys.len;
    struct counted_listing *counted = malloc(bytes);
    if (counted) {
        struct object *objects = (struct object *)(counted + 1);
        char *keys = (char *)objects + builder->objects.len;
        size_t count = builder->objects.len / sizeof *objects;
        if (count) {
            memcpy(objects, builder->objects.at, builder->objects.len);
            memcpy(keys, builder->keys.at, builder->keys.len);
        }
        for (size_t i = 0; i < count; i++)
            objects[i].key = keys + (uintptr_t)objects[i].key;
        *counted = (struct counted_listing){
            .listing = {builder->hour, clock_ms(), now, objects, count},
            .refs = 1,
            .bytes = bytes,
        };
        *ret = counted;
    }
    hour_builder_free(builder);
    return counted ? 0 : -ENOMEM;
}

void hour_builder_free(struct hour_builder *builder) {
    buf_free(&builder->objects);
    buf_free(&builder->keys);
}
