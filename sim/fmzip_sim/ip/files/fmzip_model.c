/* SPDX-License-Identifier: Apache-2.0 */
#include "fmzip_rans.h"

#include <string.h>

enum { BLOCK = 8 };
static const int16_t matrix[BLOCK][BLOCK] = FMZIP_DCT8;

typedef struct {
    const fmzip_config *c;
    int bipolar; /* values below the zero point are possible */
    int bitmap_bits;
} pipeline;

static pipeline pipeline_of(const fmzip_config *c) {
    pipeline p = {c, c->zero_point != (c->dtype ? -128 : 0), c->options & 1 ? BLOCK : 0};
    for (int k = 0; k < BLOCK; k++)
        if (c->coder == FMZIP_CODER_BITMAP && c->keep >> k & 1) p.bitmap_bits++;
    return p;
}

uint32_t fmzip_crc32(const uint8_t *data, size_t size) {
    uint32_t state = ~0u;
    while (size--) {
        state ^= *data++;
        for (int k = 0; k < 8; k++) state = state >> 1 ^ (state & 1 ? 0xedb88320u : 0);
    }
    return ~state;
}

int64_t fmzip_shift(int64_t value, int shift) {
    return value >= 0 ? value >> shift : -((-value + ((int64_t)1 << shift) - 1) >> shift);
}

/* Shift with rounding, ties towards plus infinity. */
static int64_t rounded(int64_t value, int shift) {
    return fmzip_shift(value + ((int64_t)1 << (shift - 1)), shift);
}

static int value_at(const fmzip_config *c, const uint8_t *pixel, uint32_t channel) {
    if (channel >= c->channels) return c->zero_point;
    return c->dtype ? (int8_t)pixel[channel] : pixel[channel];
}

static int length(unsigned value) {
    int bits = 0;
    while (value >> bits) bits++;
    return bits;
}

/* Symbols, codes and width of a block. */
typedef struct {
    int code[BLOCK], present[BLOCK], width;
    uint32_t bitmap;
} coded_block;

static coded_block code_block(const pipeline *p, const int *t) {
    coded_block b = {{0}, {0}, 0, 0};
    uint32_t multiplier = fmzip_multiplier(p->c);
    unsigned need = 0;
    int at = p->c->options & 1 ? BLOCK : 0;
    for (int k = 0; k < BLOCK; k++) {
        int64_t y = 0;
        int s = 0;
        for (int j = 0; j < BLOCK; j++) y += matrix[k][j] * t[j];
        if (p->c->keep >> k & 1) s = (int)rounded(y * multiplier, FMZIP_QUANT_SHIFT);
        int bitmap = p->c->coder == FMZIP_CODER_BITMAP;
        b.code[k] = bitmap ? s - (s > 0) : s;
        b.present[k] = bitmap ? s != 0 : p->c->keep >> k & 1;
        int magnitude = b.code[k] < 0 ? ~b.code[k] : b.code[k];
        int is_signed = k > 0 || p->bipolar;
        need |= (is_signed ? (unsigned)magnitude << 1 : (unsigned)b.code[k]) | (s != 0);
        if (bitmap && p->c->keep >> k & 1) b.bitmap |= (uint32_t)(s != 0) << at++;
    }
    b.width = length(need);
    if (p->c->options & 1)
        for (int j = 0; j < BLOCK; j++) b.bitmap |= (uint32_t)(t[j] != 0) << j;
    return b;
}

/* Bits one behind the other. With room 0 they are only counted. */
typedef struct {
    uint8_t *data;
    size_t room, bits;
} bit_writer;

static void write_bits(bit_writer *w, uint32_t value, int count) {
    for (int k = 0; k < count; k++, w->bits++)
        if (w->bits / 8 < w->room && value >> k & 1)
            w->data[w->bits / 8] |= (uint8_t)(1u << w->bits % 8);
}

static void align(bit_writer *w) { w->bits = (w->bits + 63) / 64 * 64; }

static uint32_t read_bits(const uint8_t *data, size_t size, size_t *at, int count) {
    uint32_t value = 0;
    for (int k = 0; k < count; k++, (*at)++)
        if (*at / 8 < size) value |= (uint32_t)(data[*at / 8] >> *at % 8 & 1) << k;
    return value;
}

/* All blocks of a tile, section by section: widths, bitmaps, values. */
static void code_tile(const pipeline *p, const uint8_t *values, const fmzip_extent *e,
                      bit_writer *w) {
    const fmzip_config *c = p->c;
    for (int section = 0; section < 3; section++) {
        for (uint32_t row = e->row; row < (uint32_t)e->row + e->rows; row++)
            for (uint32_t col = e->col; col < (uint32_t)e->col + e->cols; col++)
                for (uint32_t first = 0; first < c->channels; first += BLOCK) {
                    const uint8_t *pixel = values + ((size_t)row * c->width + col) * c->channels;
                    int t[BLOCK];
                    for (uint32_t j = 0; j < BLOCK; j++)
                        t[j] = value_at(c, pixel, first + j) - c->zero_point;
                    coded_block b = code_block(p, t);
                    if (section == 0) write_bits(w, (uint32_t)b.width, FMZIP_WIDTH_BITS);
                    if (!b.width) continue;
                    if (section == 1) write_bits(w, b.bitmap, p->bitmap_bits);
                    for (int k = 0; section == 2 && k < BLOCK; k++)
                        if (b.present[k]) write_bits(w, (uint32_t)b.code[k], b.width);
                }
        align(w);
    }
}

static void put32(uint8_t *at, uint32_t value) {
    for (int k = 0; k < 4; k++) at[k] = (uint8_t)(value >> 8 * k);
}

static uint32_t get32(const uint8_t *at) {
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static fmzip_extent place_of(const fmzip_config *c, uint32_t tile) {
    uint32_t across = (c->width + c->tile_cols - 1u) / c->tile_cols;
    fmzip_extent e = {0, 0, 0, 0, 0, 0, 0};
    e.row = (uint16_t)(tile / across * c->tile_rows);
    e.col = (uint16_t)(tile % across * c->tile_cols);
    e.rows = (uint16_t)(c->height - e.row < c->tile_rows ? c->height - e.row : c->tile_rows);
    e.cols = (uint16_t)(c->width - e.col < c->tile_cols ? c->width - e.col : c->tile_cols);
    return e;
}

/* A tile of the coders width and bitmap, without padding. */
static size_t encode_tile(const pipeline *p, const uint8_t *values, const fmzip_extent *e,
                          uint8_t *out, int *raw) {
    const fmzip_config *c = p->c;
    size_t burst = (size_t)1 << c->burst_log2, raw_size = (size_t)e->rows * e->cols * c->channels;
    bit_writer w = {out, 0, 0};
    code_tile(p, values, e, &w);
    size_t size = w.bits / 8;
    *raw = (raw_size + burst - 1) / burst <= (size + burst - 1) / burst;
    if (*raw) {
        size_t row_size = (size_t)e->cols * c->channels;
        for (uint32_t row = 0; row < e->rows; row++) {
            size_t first = (size_t)(e->row + row) * c->width + e->col;
            memcpy(out + row * row_size, values + first * c->channels, row_size);
        }
        return raw_size;
    }
    w.room = size;
    w.bits = 0;
    code_tile(p, values, e, &w);
    return size;
}

/* The tables are those that the head names. */
static int named(const fmzip_config *c, const fmzip_coding *coding) {
    if (!coding) return 0;
    return (fmzip_crc32(coding->tables, coding->tables_size) & 0xffff) == c->tables;
}

size_t fmzip_model_encode(const fmzip_config *c, const fmzip_coding *coding, const uint8_t *values,
                          uint8_t *frame, size_t room) {
    int is_rans = c->coder == FMZIP_CODER_RANS;
    if (fmzip_check(c) || room < fmzip_max_bytes(c) || (is_rans && !named(c, coding))) return 0;
    pipeline p = pipeline_of(c);
    size_t burst = (size_t)1 << c->burst_log2, head = fmzip_head_bytes(c), at = head;
    uint32_t tiles = fmzip_tiles(c);
    memset(frame, 0, room);
    for (uint32_t tile = 0; tile < tiles; tile++) {
        fmzip_extent e = place_of(c, tile);
        int raw = 0;
        size_t size = is_rans ? fmzip_rans_encode(c, coding, values, &e, frame + at, room - at, &raw)
                              : encode_tile(&p, values, &e, frame + at, &raw);
        if (!size) return 0;
        put32(frame + FMZIP_INDEX_OFFSET + FMZIP_INDEX_BYTES * (size_t)tile,
              (uint32_t)((at - head) / burst) | (uint32_t)raw << FMZIP_INDEX_OFFSET_BITS);
        at += (size + burst - 1) / burst * burst;
    }
    fmzip_static_head(c, frame);
    put32(frame + FMZIP_AT_PAYLOAD_BURSTS, (uint32_t)((at - head) / burst));
    put32(frame + FMZIP_AT_TILES_CRC, fmzip_crc32(frame + head, at - head));
    put32(frame + head - FMZIP_CRC_BYTES, fmzip_crc32(frame, head - FMZIP_CRC_BYTES));
    return at;
}

static void rebuild(const pipeline *p, const int *symbol, uint32_t nonzero, uint8_t *out,
                    int there) {
    const fmzip_config *c = p->c;
    int low = c->dtype ? -128 : 0, high = low + 255;
    int64_t coefficient[BLOCK];
    for (int k = 0; k < BLOCK; k++) {
        int64_t limit = (int64_t)1 << (FMZIP_DEQUANT_BITS - 1);
        int64_t x = rounded((int64_t)symbol[k] * c->step, FMZIP_DEQUANT_SHIFT);
        coefficient[k] = x < -limit ? -limit : x > limit - 1 ? limit - 1 : x;
    }
    for (int j = 0; j < there; j++) {
        int64_t sum = 0;
        for (int k = 0; k < BLOCK; k++) sum += matrix[k][j] * coefficient[k];
        int64_t x = rounded(sum, FMZIP_INVERSE_SHIFT);
        if (c->options & 1) {
            if (!p->bipolar && x < 1) x = 1;
            if (!(nonzero >> j & 1)) x = 0;
        }
        x += c->zero_point;
        out[j] = (uint8_t)(x < low ? low : x > high ? high : x);
    }
}

static int decode_tile(const pipeline *p, const uint8_t *data, size_t size, const fmzip_extent *e,
                       uint8_t *values) {
    const fmzip_config *c = p->c;
    uint32_t per_pixel = (c->channels + BLOCK - 1u) / BLOCK;
    size_t blocks = (size_t)e->rows * e->cols * per_pixel, coded = 0, widths_at = 0, bitmaps_at;
    for (size_t n = 0, at = 0; n < blocks; n++)
        coded += read_bits(data, size, &at, FMZIP_WIDTH_BITS) != 0;
    bitmaps_at = (blocks * FMZIP_WIDTH_BITS + 63) / 64 * 64;
    size_t values_at = bitmaps_at + (coded * (size_t)p->bitmap_bits + 63) / 64 * 64;
    for (size_t n = 0; n < blocks; n++) {
        size_t pixel = n / per_pixel, row = e->row + pixel / e->cols, col = e->col + pixel % e->cols;
        int first = (int)(n % per_pixel) * BLOCK, there = c->channels - first;
        int width = (int)read_bits(data, size, &widths_at, FMZIP_WIDTH_BITS);
        int symbol[BLOCK] = {0};
        uint32_t nonzero = 0xff, flags = c->keep;
        if (width > FMZIP_WIDTH_MAX) return -1;
        if (width) {
            if (c->options & 1) nonzero = read_bits(data, size, &bitmaps_at, BLOCK);
            for (int k = 0; c->coder == FMZIP_CODER_BITMAP && k < BLOCK; k++)
                if (c->keep >> k & 1 && !read_bits(data, size, &bitmaps_at, 1))
                    flags &= ~(1u << k);
            for (int k = 0; k < BLOCK; k++) {
                if (!(flags >> k & 1)) continue;
                int code = (int)read_bits(data, size, &values_at, width);
                int is_signed = k > 0 || p->bipolar;
                if (is_signed && code >> (width - 1) & 1) code -= 1 << width;
                symbol[k] = c->coder == FMZIP_CODER_BITMAP ? code + (code >= 0) : code;
            }
        } else {
            nonzero = 0;
        }
        rebuild(p, symbol, nonzero, values + (row * c->width + col) * c->channels + first,
                there < BLOCK ? there : BLOCK);
    }
    return values_at <= 8 * size ? 0 : -1;
}

int fmzip_model_decode(const uint8_t *frame, size_t size, const fmzip_coding *coding,
                       uint8_t *values) {
    fmzip_config c;
    if (fmzip_parse(frame, size, &c)) return -1;
    int is_rans = c.coder == FMZIP_CODER_RANS;
    if (is_rans && !named(&c, coding)) return -1;
    pipeline p = pipeline_of(&c);
    size_t head = fmzip_head_bytes(&c);
    if (size < head) return -1;
    if (fmzip_crc32(frame, head - FMZIP_CRC_BYTES) != get32(frame + head - FMZIP_CRC_BYTES))
        return -1;
    if (fmzip_crc32(frame + head, size - head) != get32(frame + FMZIP_AT_TILES_CRC)) return -1;
    for (uint32_t tile = 0; tile < fmzip_tiles(&c); tile++) {
        fmzip_extent e;
        if (fmzip_tile(frame, size, tile, &e)) return -1;
        const uint8_t *data = frame + e.offset;
        if (is_rans) {
            if (fmzip_rans_decode(&c, coding, data, &e, values)) return -1;
        } else if (e.raw) {
            if (e.bytes < (uint64_t)e.rows * e.cols * c.channels) return -1;
            for (uint32_t row = 0; row < e.rows; row++)
                memcpy(values + ((size_t)(e.row + row) * c.width + e.col) * c.channels,
                       data + (size_t)row * e.cols * c.channels, (size_t)e.cols * c.channels);
        } else if (decode_tile(&p, data, e.bytes, &e, values)) {
            return -1;
        }
    }
    return 0;
}
