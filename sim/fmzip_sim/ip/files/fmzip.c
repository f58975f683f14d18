/* SPDX-License-Identifier: Apache-2.0 */
#include "fmzip.h"

static uint32_t divide_up(uint32_t a, uint32_t b) { return (a + b - 1) / b; }

static uint32_t get(const uint8_t *at, int size) {
    uint32_t value = 0;
    while (size-- > 0) value = value << 8 | at[size];
    return value;
}

static void put(uint8_t *at, int size, uint32_t value) {
    for (int k = 0; k < size; k++) at[k] = (uint8_t)(value >> 8 * k);
}

static int low_of(const fmzip_config *c) { return c->dtype ? -128 : 0; }

uint32_t fmzip_tiles(const fmzip_config *c) {
    return divide_up(c->height, c->tile_rows) * divide_up(c->width, c->tile_cols);
}

/* The buffers hold the tiles: slots with the coder rans, blocks otherwise. */
static int fits(const fmzip_config *c) {
    int rans = c->coder == FMZIP_CODER_RANS;
    uint32_t side = c->transform == FMZIP_TRANSFORM_WHT4 ? 2 : 1;
    uint32_t planes = c->transform == FMZIP_TRANSFORM_NIBBLES ? 2 : side * side;
    uint64_t position = (uint64_t)planes * divide_up(c->channels, 8);
    uint64_t row = position * divide_up(c->tile_cols, side);
    uint64_t tile = row * divide_up(c->tile_rows, side);
    if (rans && (position > FMZIP_POSITION_SLOTS_MAX || row > FMZIP_ROW_SLOTS_MAX)) return 0;
    return tile <= (rans ? FMZIP_TILE_SLOTS_MAX : FMZIP_TILE_BLOCKS_MAX);
}

static int valid(const fmzip_config *c) {
    int rans = c->coder == FMZIP_CODER_RANS;
    int side = c->transform == FMZIP_TRANSFORM_WHT4 ? 2 : 1;
    if (!c->channels || !c->height || !c->width || !c->tile_rows || !c->tile_cols) return 0;
    if (c->tile_rows > c->height || c->tile_cols > c->width || c->dtype > 1) return 0;
    if (c->zero_point < low_of(c) || c->zero_point > low_of(c) + 255) return 0;
    if (c->burst_log2 < 3 || c->burst_log2 > 8) return 0;
    if (c->coder < 1 || c->coder > 3 || c->transform < 1 || c->transform > 4) return 0;
    if (rans != (c->transform != FMZIP_TRANSFORM_DCT8)) return 0;
    if (rans ? c->keep != 0xff || c->options || c->step < 64
             : !c->keep || c->options > 1 || c->step < 128 || c->tables)
        return 0;
    if (c->tile_rows % side && c->tile_rows != c->height) return 0;
    if (c->tile_cols % side && c->tile_cols != c->width) return 0;
    return fmzip_tiles(c) <= FMZIP_MAX_TILES;
}

int fmzip_check(const fmzip_config *c) { return valid(c) && fits(c) ? 0 : -1; }

uint32_t fmzip_head_bytes(const fmzip_config *c) {
    uint32_t burst = 1u << c->burst_log2;
    uint32_t size = FMZIP_INDEX_OFFSET + FMZIP_INDEX_BYTES * fmzip_tiles(c) + FMZIP_CRC_BYTES;
    return divide_up(size, burst) * burst;
}

uint64_t fmzip_max_bytes(const fmzip_config *c) {
    uint64_t burst = 1u << c->burst_log2, total = fmzip_head_bytes(c);
    uint32_t side = c->transform == FMZIP_TRANSFORM_WHT4 ? 2 : 1;
    for (uint32_t row = 0; row < c->height; row += c->tile_rows)
        for (uint32_t col = 0; col < c->width; col += c->tile_cols) {
            uint32_t rows = c->height - row < c->tile_rows ? c->height - row : c->tile_rows;
            uint32_t cols = c->width - col < c->tile_cols ? c->width - col : c->tile_cols;
            uint64_t bytes = (uint64_t)(divide_up(rows, side) * side)
                * (divide_up(cols, side) * side) * c->channels;
            total += (bytes + burst - 1) / burst * burst;
        }
    return total;
}

uint32_t fmzip_multiplier(const fmzip_config *c) {
    int shift = c->coder != FMZIP_CODER_RANS ? FMZIP_QUANT_SHIFT
        : FMZIP_RANS_QUANT_SHIFT - (c->transform == FMZIP_TRANSFORM_WHT4);
    return ((1u << shift) + c->step / 2) / c->step;
}

void fmzip_static_head(const fmzip_config *c, uint8_t *head) {
    for (int k = 0; k < FMZIP_STATIC_BYTES; k++) head[k] = 0;
#define SET(field, value) put(head + FMZIP_AT_##field, FMZIP_SIZE_##field, (uint32_t)(value))
    SET(MAGIC, FMZIP_MAGIC);
    SET(VERSION, FMZIP_VERSION);
    SET(DTYPE, c->dtype);
    SET(ZERO_POINT, c->zero_point & 0xff);
    SET(BURST_LOG2, c->burst_log2);
    SET(CHANNELS, c->channels);
    SET(HEIGHT, c->height);
    SET(WIDTH, c->width);
    SET(TILE_ROWS, c->tile_rows);
    SET(TILE_COLS, c->tile_cols);
    SET(CONFIG_BYTES, FMZIP_CONFIG_BYTES);
    SET(TILES, fmzip_tiles(c));
    SET(TRANSFORM, c->transform);
    SET(CODER, c->coder);
    SET(OPTIONS, c->options);
    SET(KEEP, c->keep);
    SET(STEP, c->step);
    SET(TABLES, c->tables);
#undef SET
}

int fmzip_parse(const uint8_t *frame, size_t size, fmzip_config *c) {
    uint8_t head[FMZIP_STATIC_BYTES];
    if (size < FMZIP_INDEX_OFFSET) return -1;
#define GET(field) get(frame + FMZIP_AT_##field, FMZIP_SIZE_##field)
    c->dtype = (uint8_t)GET(DTYPE);
    c->zero_point = (int)GET(ZERO_POINT);
    if (c->dtype && c->zero_point > 127) c->zero_point -= 256;
    c->burst_log2 = (uint8_t)GET(BURST_LOG2);
    c->channels = (uint16_t)GET(CHANNELS);
    c->height = (uint16_t)GET(HEIGHT);
    c->width = (uint16_t)GET(WIDTH);
    c->tile_rows = (uint16_t)GET(TILE_ROWS);
    c->tile_cols = (uint16_t)GET(TILE_COLS);
    c->transform = (uint8_t)GET(TRANSFORM);
    c->coder = (uint8_t)GET(CODER);
    c->options = (uint8_t)GET(OPTIONS);
    c->keep = (uint8_t)GET(KEEP);
    c->step = (uint16_t)GET(STEP);
    c->tables = (uint16_t)GET(TABLES);
#undef GET
    if (!valid(c)) return -1;
    fmzip_static_head(c, head);
    for (int k = 0; k < FMZIP_STATIC_BYTES; k++)
        if (head[k] != frame[k]) return -1;
    return 0;
}

int fmzip_tile(const uint8_t *frame, size_t size, uint32_t tile, fmzip_extent *e) {
    fmzip_config c;
    if (fmzip_parse(frame, size, &c)) return -1;
    uint32_t tiles = fmzip_tiles(&c), across = divide_up(c.width, c.tile_cols);
    uint32_t head = fmzip_head_bytes(&c), mask = (1u << FMZIP_INDEX_OFFSET_BITS) - 1;
    if (tile >= tiles || size < head) return -1;
    const uint8_t *entry = frame + FMZIP_INDEX_OFFSET + FMZIP_INDEX_BYTES * (size_t)tile;
    uint64_t start = (uint64_t)(get(entry, FMZIP_INDEX_BYTES) & mask) << c.burst_log2;
    uint64_t stop = (uint64_t)get(frame + FMZIP_AT_PAYLOAD_BURSTS, FMZIP_SIZE_PAYLOAD_BURSTS)
        << c.burst_log2;
    if (tile + 1 < tiles)
        stop = (uint64_t)(get(entry + FMZIP_INDEX_BYTES, FMZIP_INDEX_BYTES) & mask)
            << c.burst_log2;
    if (stop <= start || head + stop > size) return -1;
    e->offset = (uint32_t)(head + start);
    e->bytes = (uint32_t)(stop - start);
    e->raw = get(entry, FMZIP_INDEX_BYTES) >> FMZIP_INDEX_OFFSET_BITS == 1;
    e->row = (uint16_t)(tile / across * c.tile_rows);
    e->col = (uint16_t)(tile % across * c.tile_cols);
    e->rows = (uint16_t)(c.height - e->row < c.tile_rows ? c.height - e->row : c.tile_rows);
    e->cols = (uint16_t)(c.width - e->col < c.tile_cols ? c.width - e->col : c.tile_cols);
    return 0;
}

fmzip_config fmzip_alone(const fmzip_config *config, const fmzip_extent *e) {
    fmzip_config alone = *config;
    alone.height = alone.tile_rows = e->rows;
    alone.width = alone.tile_cols = e->cols;
    return alone;
}

int fmzip_identify(uintptr_t base, int is_decoder) {
    if (FMZIP_READ32(base, FMZIP_IDENT) != FMZIP_IDENT_VALUE) return -1;
    return !!(FMZIP_READ32(base, FMZIP_BUILD) & FMZIP_BUILD_DECODER) == !!is_decoder ? 0 : -1;
}

int fmzip_configure(uintptr_t base, const fmzip_config *config) {
    uint8_t head[FMZIP_STATIC_BYTES];
    if (fmzip_check(config) || FMZIP_READ32(base, FMZIP_STATUS) & FMZIP_STATUS_BUSY) return -1;
    fmzip_static_head(config, head);
    for (uint32_t k = 0; k < FMZIP_STATIC_BYTES; k += 4)
        FMZIP_WRITE32(base, FMZIP_HEAD + k, get(head + k, 4));
    if (!(FMZIP_READ32(base, FMZIP_BUILD) & FMZIP_BUILD_DECODER))
        FMZIP_WRITE32(base, FMZIP_MULTIPLIER, fmzip_multiplier(config));
    return 0;
}

int fmzip_load_tables(uintptr_t base, const uint8_t *tables, size_t size) {
    if (size % 4 || FMZIP_READ32(base, FMZIP_STATUS) & FMZIP_STATUS_BUSY) return -1;
    FMZIP_WRITE32(base, FMZIP_CONTROL, FMZIP_CONTROL_TABLES);
    for (size_t k = 0; k < size; k += 4) FMZIP_WRITE32(base, FMZIP_TABLES, get(tables + k, 4));
    return FMZIP_READ32(base, FMZIP_STATUS) & FMZIP_STATUS_TABLES ? 0 : -1;
}

void fmzip_start(uintptr_t base) { FMZIP_WRITE32(base, FMZIP_CONTROL, FMZIP_CONTROL_START); }

void fmzip_start_tile(uintptr_t base, int raw) {
    FMZIP_WRITE32(base, FMZIP_CONTROL, FMZIP_CONTROL_TILE | (raw ? FMZIP_CONTROL_RAW : 0));
}

int fmzip_wait(uintptr_t base, unsigned long reads) {
    while (reads--) {
        uint32_t status = FMZIP_READ32(base, FMZIP_STATUS);
        if (status & FMZIP_STATUS_DONE && !(status & FMZIP_STATUS_BUSY))
            return (int)((status & FMZIP_STATUS_FAULT) >> FMZIP_STATUS_FAULT_LOW);
    }
    return -1;
}

uint32_t fmzip_frame_bytes(uintptr_t base) { return FMZIP_READ32(base, FMZIP_FRAME_BYTES); }
