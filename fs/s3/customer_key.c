#include "customer_key.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_LEN 32
#define MD5_LEN 16
#define TEXT_LEN 44                /* of the key in base64 */
#define FILE_MAX (TEXT_LEN + 2)    /* and a line end, with or without a CR */
#define OTHERS (S_IRWXG | S_IRWXO) /* what nobody but the owner may have, as ssh wants of keys */

/* What a file holds, and one byte more where it is too long. */
struct content {
    uint8_t at[FILE_MAX + 1];
    size_t len;
};

/* Returns 0 or a negative errno. */
static int read_all(int fd, struct content *content) {
    ssize_t got = 1;
    while (got != 0 && content->len < sizeof content->at) {
        got = read(fd, content->at + content->len, sizeof content->at - content->len);
        if (got < 0 && errno != EINTR)
            return -errno;
        content->len += got > 0 ? (size_t)got : 0;
    }
    return 0;
}

/* Returns NULL, or why it may not be read. */
static const char *take(int fd, struct content *content) {
    struct stat now;
    if (fstat(fd, &now) < 0)
        return strerrordesc_np(errno);
    if (!S_ISREG(now.st_mode))
        return "it is no regular file";
    if (now.st_mode & OTHERS)
        return "others than its owner have rights to it: take them away (chmod 600)";
    int err = read_all(fd, content);
    return err ? strerrordesc_np(-err) : NULL;
}

static bool decode(const struct content *content, uint8_t ret[KEY_LEN]) {
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char text[FILE_MAX + 2];
    uint8_t decoded[KEY_LEN + 1]; /* the padding gives a byte more */
    memcpy(text, content->at, content->len);
    text[content->len] = '\0';
    const char *end = text + strspn(text, alphabet);
    bool is_key = end - text == TEXT_LEN - 1 && strlen(text) == content->len &&
                  (strcmp(end, "=") == 0 || strcmp(end, "=\n") == 0 || strcmp(end, "=\r\n") == 0) &&
                  EVP_DecodeBlock(decoded, (const uint8_t *)text, TEXT_LEN) == KEY_LEN + 1;
    if (is_key)
        memcpy(ret, decoded, KEY_LEN);
    OPENSSL_cleanse(text, sizeof text);
    OPENSSL_cleanse(decoded, sizeof decoded);
    return is_key;
}

/* Whatever 32 bytes are, they are a key. */
static bool find_key(const struct content *content, uint8_t ret[KEY_LEN]) {
    if (content->len > FILE_MAX)
        return false;
    if (content->len != KEY_LEN)
        return decode(content, ret);
    memcpy(ret, content->at, KEY_LEN);
    return true;
}

static int encode(const char *path, const uint8_t key[KEY_LEN], struct customer_key *ret,
                  struct fault *fault) {
    uint8_t md5[MD5_LEN];
    if (!EVP_Digest(key, KEY_LEN, md5, NULL, EVP_md5(), NULL))
        return fault_set(fault, -EIO,
                         "the key in %s cannot be used: S3 wants its MD5, which this machine's "
                         "OpenSSL does not allow",
                         path);
    EVP_EncodeBlock((uint8_t *)ret->key, key, KEY_LEN);
    EVP_EncodeBlock((uint8_t *)ret->md5, md5, MD5_LEN);
    return 0;
}

static int find(const char *path, const struct content *content, struct customer_key *ret,
                struct fault *fault) {
    uint8_t key[KEY_LEN];
    int err = find_key(content, key)
                  ? encode(path, key, ret, fault)
                  : fault_set(fault, -EINVAL,
                              "%s holds no key: it takes the 32 bytes of one, or their base64 "
                              "(check sse_customer_key=)",
                              path);
    OPENSSL_cleanse(key, sizeof key);
    return err;
}

int customer_key_read(const char *path, struct customer_key *ret, struct fault *fault) {
    struct content content = {.len = 0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    const char *why = fd < 0 ? strerrordesc_np(errno) : take(fd, &content);
    int err =
        why ? fault_set(fault, -EACCES,
                        "the key in %s cannot be read: %s: check sse_customer_key=", path, why)
            : find(path, &content, ret, fault);
    if (fd >= 0)
        close(fd);
    OPENSSL_cleanse(&content, sizeof content);
    return err;
}

void customer_key_clear(struct customer_key *key) {
    OPENSSL_cleanse(key, sizeof *key);
}
