/* Both Snappy formats. */
#include "decode_kit.h"

/* A raw block of a single literal of 1 to 60 bytes, as every compressor may write one. */
static void put_literal_block(struct buf *object, const char *text) {
    size_t len = strlen(text);
    put_le(object, len, 1);
    put_le(object, (len - 1) << 2, 1);
    put(object, text, len);
}

static void put_chunk_header(struct buf *object, uint8_t kind, size_t len) {
    put_le(object, kind, 1);
    put_le(object, len, 3);
}

static void put_identifier(struct buf *object) {
    put_chunk_header(object, 0xff, 6);
    put(object, "sNaPpY", 6);
}

/* Bit by bit, unlike the decoder's. */
static uint32_t masked_crc(const uint8_t *at, size_t len) {
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < len; i++) {
        crc ^= at[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? (crc >> 1) ^ 0x82f63b78u : crc >> 1;
    }
    crc = ~crc;
    return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

#ifdef HAVE_SNAPPY

#include <snappy-c.h>

static void put_block(struct buf *object, const uint8_t *at, size_t len) {
    size_t stored = snappy_max_compressed_length(len);
    char *block = malloc(stored);
    assert_non_null(block);
    assert_int_equal(snappy_compress((const char *)at, len, block, &stored), SNAPPY_OK);
    put(object, block, stored);
    free(block);
}

/* ---- Framing format ---- */

static void put_data_chunk(struct buf *object, uint8_t kind, const uint8_t *at, size_t len) {
    struct buf data = new_buf();
    put_le(&data, masked_crc(at, len), 4);
    if (kind == 0)
        put_block(&data, at, len);
    else
        put(&data, at, len);
    put_chunk_header(object, kind, data.len);
    put_buf(object, &data);
    buf_free(&data);
}

/* Chunks of `size` bytes each, every third of them not compressed. */
static void put_framed(struct buf *object, const struct buf *plain, size_t size) {
    put_identifier(object);
    size_t n = 0;
    for (size_t at = 0; at < plain->len; at += size, n++) {
        size_t len = plain->len - at < size ? plain->len - at : size;
        put_data_chunk(object, n % 3 == 2, plain->at + at, len);
    }
}

/* The check value that the specifications of CRC-32C give. */
static void checksum_of_the_test_is_right(void **state) {
    (void)state;
    uint32_t crc = masked_crc((const uint8_t *)"123456789", 9) - 0xa282ead8u;
    assert_int_equal((crc >> 17) | (crc << 15), 0xe3069283u);
}

static void framed_of_any_size(void **state) {
    (void)state;
    for (size_t len = 0; len <= 400000; len = len * 20 + 1) {
        struct buf plain = make_events(len), object = new_buf();
        put_framed(&object, &plain, 65536);
        expect_plain(&object, &plain, "snappy");
        buf_free(&plain);
        buf_free(&object);
    }
}

static void framed_with_chunks_to_skip(void **state) {
    (void)state;
    struct buf plain = make_events(200), all = new_buf(), object = new_buf();
    put_framed(&object, &plain, 50);
    put_chunk_header(&object, 0xfe, 300);
    put_zeros(&object, 300);
    put_chunk_header(&object, 0x80, 0);
    put_framed(&object, &plain, 70);
    put_chunk_header(&object, 0xfd, 1);
    put_zeros(&object, 1);
    put_data_chunk(&object, 0, plain.at, 0);
    put_data_chunk(&object, 1, plain.at, 0);
    put_buf(&all, &plain);
    put_buf(&all, &plain);
    expect_plain(&object, &all, "snappy");
    buf_free(&plain);
    buf_free(&all);
    buf_free(&object);
}

/* The longest chunk there can be, in the pieces in which it would come. */
static void long_chunk_is_skipped(void **state) {
    (void)state;
    struct buf plain = make_events(200), object = new_buf();
    put_identifier(&object);
    put_chunk_header(&object, 0x99, 0xffffff);
    put_zeros(&object, 0xffffff);
    put_data_chunk(&object, 0, plain.at, plain.len);
    struct decoded got = decode(&object, CUT_NOWHERE, NO_LIMIT);
    assert_int_equal(got.err, 0);
    assert_true(is_same(&got.plain, &plain));
    buf_free(&got.plain);
    got = decode(&object, CUT_RANDOM, NO_LIMIT);
    assert_true(is_same(&got.plain, &plain));
    buf_free(&got.plain);
    buf_free(&plain);
    buf_free(&object);
}

/* Where a chunk ends, an object may end: nothing in the format tells that more was to come. */
static void framed_cut_or_flipped_anywhere(void **state) {
    (void)state;
    struct buf plain = make_events(300), object = new_buf();
    put_identifier(&object);
    size_t ends[] = {object.len, 0, 0};
    put_data_chunk(&object, 0, plain.at, 120);
    ends[1] = object.len;
    put_data_chunk(&object, 1, plain.at + 120, plain.len - 120);
    expect_cuts_found(&object, &plain, ends);
    /* The kinds of chunks are covered by nothing: one bit makes data into what is to be skipped. */
    expect_flips_found(&object, &plain, ends);
    for (size_t i = 0; i < 2; i++)
        for (size_t bit = 0; bit < 7; bit++)
            assert_true(flip_is_safe(&object, ends[i] * 8 + bit, &plain));
    buf_free(&plain);
    buf_free(&object);
}

/* An object with one good chunk, and behind it this. */
static void expect_bad_chunk(uint8_t kind, size_t len, const void *data, size_t data_len,
                             const char *reason) {
    struct buf plain = make_events(200), object = new_buf();
    put_framed(&object, &plain, 65536);
    put_chunk_header(&object, kind, len);
    put(&object, data, data_len);
    expect_damaged(&object, &plain, plain.len, reason);
    buf_free(&plain);
    buf_free(&object);
}

static void bad_chunks_are_damage(void **state) {
    (void)state;
    static const char length[] = "the length of its Snappy chunk is out of range";
    static const char kind[] = "it has a Snappy chunk of a kind that is not known";
    static const char identifier[] = "its Snappy stream identifier is wrong";
    static const char data[] = "its Snappy data cannot be decoded";
    expect_bad_chunk(0x02, 1, "x", 1, kind);
    expect_bad_chunk(0x7f, 0xffffff, "x", 1, kind);
    expect_bad_chunk(0x00, 3, "abc", 3, length);
    expect_bad_chunk(0x01, 0, "", 0, length);
    expect_bad_chunk(0x01, 4 + 65536 + 1, "", 0, length);
    expect_bad_chunk(0x00, 4 + snappy_max_compressed_length(65536) + 1, "", 0, length);
    expect_bad_chunk(0x00, 0xffffff, "", 0, length);
    expect_bad_chunk(0xff, 5, "sNaPp", 5, identifier);
    expect_bad_chunk(0xff, 6, "sNaPpy", 6, identifier);
    expect_bad_chunk(0x00, 4, "abcd", 4, data);        /* no length */
    expect_bad_chunk(0x00, 5, "abcd\x80", 5, data);    /* half a length */
    expect_bad_chunk(0x00, 6, "abcd\5\0", 6, data);    /* half a literal */
    expect_bad_chunk(0x00, 7, "abcd\4\1\0", 7, data);  /* a copy of nothing */
    expect_bad_chunk(0x00, 8, "abcd\1\0x\0", 8, data); /* more than its length */
    expect_bad_chunk(0x00, 10, "abcd\x81\x80\x80\x80\x10x", 10, data);
    expect_bad_chunk(0x00, 7, "abcd\1\0x", 7, "its Snappy checksum is wrong");
    expect_bad_chunk(0x01, 5, "abcdx", 5, "its Snappy checksum is wrong");
    expect_bad_chunk(0x01, 5, "abcd", 4, "it ends inside a Snappy chunk");
    expect_bad_chunk(0x99, 5, "abcd", 4, "it ends inside a Snappy chunk");
}

/* One byte more than a chunk may hold, in a chunk that is short. */
static void chunk_that_decodes_to_too_much(void **state) {
    (void)state;
    static const char reason[] = "its Snappy data cannot be decoded";
    uint8_t *zeros = calloc(1, 65537);
    struct buf object = new_buf(), plain = new_buf();
    assert_non_null(zeros);
    put_identifier(&object);
    put_data_chunk(&object, 0, zeros, 65536);
    put(&plain, zeros, 65536);
    expect_plain(&object, &plain, "snappy");
    put_data_chunk(&object, 0, zeros, 65537);
    expect_damaged(&object, &plain, plain.len, reason);
    free(zeros);
    buf_free(&object);
    buf_free(&plain);
}

/* ---- Hadoop's format ---- */

/* One block, in pieces of `size` bytes. */
static void put_hadoop_block(struct buf *object, const uint8_t *at, size_t len, size_t size) {
    put_be32(object, (uint32_t)len);
    for (size_t done = 0; done < len; done += size) {
        struct buf piece = new_buf();
        put_block(&piece, at + done, len - done < size ? len - done : size);
        put_be32(object, (uint32_t)piece.len);
        put_buf(object, &piece);
        buf_free(&piece);
    }
}

static void hadoop_of_any_size(void **state) {
    (void)state;
    for (size_t len = 1; len <= 400000; len = len * 20 + 1) {
        struct buf plain = make_events(len), object = new_buf();
        put_hadoop_block(&object, plain.at, plain.len, 256 << 10);
        expect_plain(&object, &plain, "hadoop-snappy");
        buf_free(&plain);
        buf_free(&object);
    }
}

static void hadoop_blocks_and_pieces(void **state) {
    (void)state;
    struct buf plain = make_events(1000), all = new_buf(), object = new_buf();
    put_hadoop_block(&object, plain.at, plain.len, 100);
    put_be32(&object, 0);
    put_be32(&object, 0);
    put_hadoop_block(&object, plain.at, plain.len, 999);
    put_hadoop_block(&object, plain.at, plain.len, 1);
    put_be32(&object, 0);
    for (int i = 0; i < 3; i++)
        put_buf(&all, &plain);
    expect_plain(&object, &all, "hadoop-snappy");
    buf_free(&plain);
    buf_free(&all);
    buf_free(&object);
}

/* The first lengths there can be, at both ends. */
static void hadoop_lengths_at_their_limits(void **state) {
    (void)state;
    size_t len = 8 << 20;
    struct buf plain = new_buf(), object = new_buf();
    put_zeros(&plain, len + 1);
    put_be32(&object, 128 << 20);
    struct buf piece = new_buf();
    put_block(&piece, plain.at, len);
    for (int i = 0; i < 2; i++) {
        put_be32(&object, (uint32_t)piece.len);
        put_buf(&object, &piece);
    }
    struct decoded got = decode(&object, CUT_RANDOM, NO_LIMIT);
    assert_string_equal(got.reason, "it ends inside a Snappy block");
    assert_int_equal(got.plain.len, 2 * len);
    buf_free(&got.plain);
    size_t whole = object.len;
    put_be32(&object, (4 << 20) + 1);
    got = decode(&object, CUT_RANDOM, NO_LIMIT);
    assert_string_equal(got.reason, "the length of its Snappy data is out of range");
    buf_free(&got.plain);
    object.len = whole;
    buf_reset(&piece);
    put_block(&piece, plain.at, len + 1);
    put_be32(&object, (uint32_t)piece.len);
    put_buf(&object, &piece);
    got = decode(&object, CUT_RANDOM, NO_LIMIT);
    assert_string_equal(got.reason, "its Snappy data cannot be decoded");
    assert_int_equal(got.plain.len, 2 * len);
    buf_free(&got.plain);
    buf_free(&piece);
    buf_free(&plain);
    buf_free(&object);
}

static void hadoop_cut_anywhere(void **state) {
    (void)state;
    struct buf plain = make_events(400), object = new_buf();
    size_t half = plain.len / 2;
    put_hadoop_block(&object, plain.at, half, 90);
    size_t ends[] = {object.len, 0, 0};
    put_be32(&object, 0);
    ends[1] = object.len;
    put_hadoop_block(&object, plain.at + half, plain.len - half, 90);
    expect_cuts_found(&object, &plain, ends);
    buf_free(&plain);
    buf_free(&object);
}

/* It has no checksums, but no flipped bit may do worse than give other bytes. */
static void hadoop_flipped_anywhere(void **state) {
    (void)state;
    struct buf plain = make_events(400), object = new_buf();
    put_hadoop_block(&object, plain.at, plain.len, 90);
    for (size_t bit = 0; bit < object.len * 8; bit++) {
        object.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        struct decoded got = decode(&object, bit % 2 ? CUT_NOWHERE : CUT_SMALL, 10000);
        assert_true(got.err == 0 || got.err == -EBADMSG);
        buf_free(&got.plain);
        object.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    buf_free(&plain);
    buf_free(&object);
}

/* A block of 20 bytes whose first piece gives 12 of them, and behind it this. */
static void expect_bad_piece(const void *at, size_t len, const char *reason) {
    struct buf plain = new_buf(), object = new_buf();
    put(&plain, "{\"a\":\"bcde\"}", 12);
    put_be32(&object, 20);
    put_be32(&object, 14);
    put_literal_block(&object, "{\"a\":\"bcde\"}");
    put(&object, at, len);
    expect_damaged(&object, &plain, plain.len, reason);
    buf_free(&plain);
    buf_free(&object);
}

static void bad_pieces_are_damage(void **state) {
    (void)state;
    static const char length[] = "the length of its Snappy data is out of range";
    static const char block[] = "the length of its Snappy block is out of range";
    static const char data[] = "its Snappy data cannot be decoded";
    static const char end[] = "it ends inside a Snappy block";
    expect_bad_piece("", 0, end);
    expect_bad_piece("\0\0\0", 3, end);
    expect_bad_piece("\0\0\0\0", 4, length);
    expect_bad_piece("\0\0\0\52", 4, length); /* more than 8 bytes can become */
    expect_bad_piece("\0\100\0\1", 4, length);
    expect_bad_piece("\xff\xff\xff\xff", 4, length);
    expect_bad_piece("\0\0\0\13\11\40abcdefghi", 15, data); /* 9 bytes where 8 are left */
    expect_bad_piece("\0\0\0\1\0", 5, data);                /* none */
    expect_bad_piece("\0\0\0\1\x80", 5, data);
    expect_bad_piece("\0\0\0\3\3\0a", 7, data);
    expect_bad_piece("\0\0\0\11\10\34abcdefg", 13, data);
    struct buf plain = new_buf(), object = new_buf();
    put(&plain, "{}", 2);
    put_hadoop_block(&object, plain.at, plain.len, 2);
    put_be32(&object, (128 << 20) + 1);
    expect_damaged(&object, &plain, plain.len, block);
    buf_free(&plain);
    buf_free(&object);
}

/* ---- Both ---- */

static int refuse_all(void *ctx, const uint8_t *at, size_t len) {
    (void)ctx;
    (void)at;
    (void)len;
    return -EIO;
}

static void limits_sinks_and_resets(void **state) {
    (void)state;
    struct buf plain = make_events(200000), framed = new_buf(), hadoop = new_buf();
    put_framed(&framed, &plain, 65536);
    put_hadoop_block(&hadoop, plain.at, plain.len, 65536);
    const struct buf *objects[] = {&framed, &hadoop};
    struct decoder *decoder = decoder_new(NO_LIMIT, DECODER_WHOLE_MAX, refuse_all, NULL);
    for (size_t i = 0; i < 4 * CUTS; i++) {
        const struct buf *object = objects[i / 2 % 2]; /* each twice, for the kept state */
        struct decoded got = decode(object, all_cuts[i / 4], 100000);
        assert_string_equal(got.reason, "it is longer than max_object when decoded");
        assert_int_equal(got.plain.len, 100000);
        assert_true(is_prefix(&got.plain, &plain));
        buf_free(&got.plain);
        assert_int_equal(feed_object(decoder, object, all_cuts[i / 4]), -EIO);
        assert_null(decoder_reason(decoder));
        decoder_reset(decoder);
    }
    decoder_free(decoder);
    buf_free(&plain);
    buf_free(&framed);
    buf_free(&hadoop);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksum_of_the_test_is_right),
        cmocka_unit_test(framed_of_any_size),
        cmocka_unit_test(framed_with_chunks_to_skip),
        cmocka_unit_test(long_chunk_is_skipped),
        cmocka_unit_test(framed_cut_or_flipped_anywhere),
        cmocka_unit_test(bad_chunks_are_damage),
        cmocka_unit_test(chunk_that_decodes_to_too_much),
        cmocka_unit_test(hadoop_of_any_size),
        cmocka_unit_test(hadoop_blocks_and_pieces),
        cmocka_unit_test(hadoop_lengths_at_their_limits),
        cmocka_unit_test(hadoop_cut_anywhere),
        cmocka_unit_test(hadoop_flipped_anywhere),
        cmocka_unit_test(bad_pieces_are_damage),
        cmocka_unit_test(limits_sinks_and_resets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

/* A build without libsnappy knows what it cannot decode, and what it can. */
static void snappy_is_not_supported(void **state) {
    (void)state;
    struct buf framed = new_buf(), hadoop = new_buf(), plain = new_buf();
    put_identifier(&framed);
    put_chunk_header(&framed, 1, 6);
    put_le(&framed, masked_crc((const uint8_t *)"{}", 2), 4);
    put(&framed, "{}", 2);
    put_be32(&hadoop, 2);
    put_be32(&hadoop, 4);
    put_literal_block(&hadoop, "{}");
    put(&plain, "{}", 2);
    for (size_t i = 0; i < CUTS; i++) {
        struct decoded got = decode(&framed, all_cuts[i], NO_LIMIT);
        assert_int_equal(got.err, -ENOSYS);
        assert_string_equal(got.format, "snappy");
        got = decode(&hadoop, all_cuts[i], NO_LIMIT);
        assert_int_equal(got.err, -ENOSYS);
        assert_string_equal(got.format, "hadoop-snappy");
    }
    expect_plain(&plain, &plain, "plain");
    buf_free(&framed);
    buf_free(&hadoop);
    buf_free(&plain);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(snappy_is_not_supported)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
