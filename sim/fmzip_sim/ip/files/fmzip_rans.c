/* SPDX-License-Identifier: Apache-2.0 */
#include "fmzip_rans.h"

#include <stdlib.h>
#include <string.h>

enum { LANES = 8, SETS = 10, STATISTICS = 32, TOKENS = 32, ESCAPE = 31, LOWEST = 256 };
static const uint8_t class_starts[] = FMZIP_CLASS_STARTS;
static const uint8_t prices[] = FMZIP_PRICES;
/* Signs of the pixels of a position in its coefficients, and of those in these. */
static const int wht4[4][4] = {{1, 1, 1, 1}, {1, -1, 1, -1}, {1, 1, -1, -1}, {1, -1, -1, 1}};

/* A tile: its positions, its numbers z [position][coefficient][lane], and what is known of its
 * slots [slot][lane]. */
typedef struct {
    const fmzip_config *c;
    const uint8_t *contexts, *frequencies;
    int coefficients, planes, side, bipolar;
    size_t rows, cols, lanes, groups, slots;
    uint8_t *z, *classes, *statistics, *tokens;
    uint8_t limits[STATISTICS];
    uint16_t cumulated[STATISTICS][TOKENS];
} rans;

static void end(rans *r) {
    free(r->z);
    free(r->classes);
}

static int tables_are_right(rans *r, size_t statistics) {
    for (size_t k = 0; k < 512u * (size_t)r->planes; k++)
        if (r->contexts[k] >= statistics) return 0;
    for (size_t s = 0; s < statistics; s++) {
        const uint8_t *f = r->frequencies + TOKENS * s;
        unsigned sum = 0;
        for (int u = 0; u < TOKENS; u++) {
            r->cumulated[s][u] = (uint16_t)sum;
            sum += f[u];
            if (u < ESCAPE && f[u]) r->limits[s] = (uint8_t)u;
        }
        for (int u = 0; u <= r->limits[s]; u++)
            if (!f[u]) return 0;
        if (sum != 256 || !f[ESCAPE]) return 0;
    }
    return 1;
}

/* 0, and memory for the tile, which end() gives back. */
static int begin(rans *r, const fmzip_config *c, const fmzip_coding *coding,
                 const fmzip_extent *e) {
    memset(r, 0, sizeof *r);
    r->c = c;
    r->coefficients = c->transform == FMZIP_TRANSFORM_WHT4 ? 4 : 1;
    r->planes = c->transform == FMZIP_TRANSFORM_NIBBLES ? 2 : r->coefficients;
    r->side = r->coefficients == 4 ? 2 : 1;
    r->bipolar = c->zero_point != (c->dtype ? -128 : 0);
    r->rows = (e->rows + r->side - 1u) / (size_t)r->side;
    r->cols = (e->cols + r->side - 1u) / (size_t)r->side;
    r->groups = (c->channels + LANES - 1u) / LANES;
    r->lanes = r->groups * LANES;
    r->slots = r->rows * r->cols * r->groups * (size_t)r->planes;
    size_t contexts = 512u * (size_t)r->planes, size = coding ? coding->tables_size : 0;
    size_t statistics = size > contexts ? (size - contexts) / TOKENS : 0;
    if (!statistics || statistics > STATISTICS || size != contexts + TOKENS * statistics) return -1;
    r->contexts = coding->tables;
    r->frequencies = coding->tables + contexts;
    if (!tables_are_right(r, statistics)) return -1;
    r->z = calloc(r->rows * r->cols * (size_t)r->coefficients, r->lanes);
    r->classes = calloc(r->slots, 3 * LANES);
    if (!r->z || !r->classes) return end(r), -1;
    r->statistics = r->classes + r->slots * LANES;
    r->tokens = r->statistics + r->slots * LANES;
    return 0;
}

static int clamp(int64_t value, int low, int high) {
    return value < low ? low : value > high ? high : (int)value;
}

static int is_signed(const rans *r, int coefficient) { return coefficient || r->bipolar; }

static uint8_t *number(const rans *r, size_t position, int coefficient) {
    return r->z + (position * (size_t)r->coefficients + (size_t)coefficient) * r->lanes;
}

/* Coefficient of a lane in a position; a pixel beyond the map is a copy of the last one. */
static int coefficient_of(const rans *r, const uint8_t *values, const fmzip_extent *e, size_t row,
                          size_t col, int k, size_t channel) {
    const fmzip_config *c = r->c;
    int sum = 0;
    if (channel >= c->channels) return 0;
    for (int n = 0; n < r->coefficients; n++) {
        size_t y = e->row + row * (size_t)r->side + (size_t)(n >> 1);
        size_t x = e->col + col * (size_t)r->side + (size_t)(n & 1);
        if (y >= c->height) y = c->height - 1u;
        if (x >= c->width) x = c->width - 1u;
        uint8_t byte = values[(y * c->width + x) * c->channels + channel];
        sum += ((c->dtype ? (int8_t)byte : byte) - c->zero_point) *
               (r->coefficients == 4 ? wht4[k][n] : 1);
    }
    return sum;
}

static int quantise(rans *r, const fmzip_coding *coding, const uint8_t *values,
                    const fmzip_extent *e) {
    int multiplier = (int)fmzip_multiplier(r->c);
    int *above = malloc((r->cols + 1) * sizeof *above); /* errors of the row above */
    int spread = coding->left + coding->above + coding->corner > 0;
    if (!above) return -1;
    for (int k = 0; k < r->coefficients; k++)
        for (size_t channel = 0; channel < r->lanes; channel++) {
            int low = is_signed(r, k) ? -128 : 0, high = low + 255;
            memset(above, 0, (r->cols + 1) * sizeof *above);
            for (size_t row = 0; row < r->rows; row++) {
                int left = 0, corner = 0;
                for (size_t col = 0; col < r->cols; col++) {
                    int y = coefficient_of(r, values, e, row, col, k, channel);
                    int64_t v = fmzip_shift((int64_t)y * multiplier + 128, 8);
                    if (spread)
                        v += fmzip_shift(coding->left * left + coding->above * above[col] -
                                         coding->corner * corner + 8,
                                     4);
                    int q = clamp(fmzip_shift(v + coding->rounding, 8), low, high);
                    corner = above[col];
                    left = above[col] = spread ? clamp(v - 256 * (int64_t)q, -256, 255) : 0;
                    number(r, row * r->cols + col, k)[channel] =
                        (uint8_t)(is_signed(r, k) ? (q >= 0 ? 2 * q : -2 * q - 1) : q);
                }
            }
        }
    free(above);
    return 0;
}

/* Class of a lane in the slot that is so many positions, and planes, before slot t. */
static int class_at(const rans *r, size_t t, int lane, size_t positions, int planes) {
    t -= (positions * (size_t)r->planes + (size_t)planes) * r->groups;
    return r->classes[t * LANES + (size_t)lane];
}

static int context_of(const rans *r, size_t t, int lane) {
    size_t position = t / r->groups / (size_t)r->planes;
    size_t row = position / r->cols, col = position % r->cols;
    int k = (int)(t / r->groups % (size_t)r->planes), w, n, nw, ne, x;
    if (row == 0) {
        w = n = nw = ne = col ? class_at(r, t, lane, 1, 0) : 0;
    } else {
        n = class_at(r, t, lane, r->cols, 0);
        w = col ? class_at(r, t, lane, 1, 0) : n;
        nw = col ? class_at(r, t, lane, r->cols + 1, 0) : n;
        ne = col + 1 < r->cols ? class_at(r, t, lane, r->cols - 1, 0) : n;
    }
    if (k == 0) {
        x = (nw + ne + 1) >> 1;
    } else if (k < 3) {
        x = class_at(r, t, lane, 0, k);
    } else {
        x = class_at(r, t, lane, 0, 2) + class_at(r, t, lane, 0, 1);
        x += (class_at(r, t, lane, 0, 3) + 1) >> 1;
        if (x > 7) x = 7;
    }
    return 512 * k + 64 * w + 8 * n + x;
}

static void set_class(rans *r, size_t t, int lane, int symbol, int escape) {
    int k = (int)(t / r->groups % (size_t)r->planes), nibbles = r->planes == 2;
    int magnitude = !nibbles && is_signed(r, k) ? (symbol + 1) >> 1 : symbol, found = 7;
    while (magnitude < class_starts[found]) found--;
    if (escape || (nibbles && k && class_at(r, t, lane, 0, 1))) found = 7;
    r->classes[t * LANES + (size_t)lane] = (uint8_t)found;
}

/* The number z that a lane of a slot is of; *low: the symbol is its low nibble. */
static uint8_t *of_slot(const rans *r, size_t t, int lane, int *low) {
    size_t position = t / r->groups / (size_t)r->planes;
    int k = (int)(t / r->groups % (size_t)r->planes), nibbles = r->planes == 2;
    *low = nibbles && k;
    return number(r, position, nibbles ? 0 : k) + t % r->groups * LANES + lane;
}

/* Statistics, tokens and escapes of all slots, and what they cost, in 1/16 bit. */
static uint64_t tokens_of(rans *r, uint8_t *escapes, size_t *count) {
    uint64_t cost = 0;
    for (size_t t = 0; t < r->slots; t++)
        for (int lane = 0; lane < LANES; lane++) {
            int low, statistic = r->contexts[context_of(r, t, lane)];
            int symbol = *of_slot(r, t, lane, &low);
            if (r->planes == 2) symbol = low ? symbol & 15 : symbol >> 4;
            int escape = symbol > r->limits[statistic], token = escape ? ESCAPE : symbol;
            if (escape) {
                escapes[(*count)++] = (uint8_t)symbol;
                cost += 128;
            }
            set_class(r, t, lane, symbol, escape);
            r->statistics[t * LANES + (size_t)lane] = (uint8_t)statistic;
            r->tokens[t * LANES + (size_t)lane] = (uint8_t)token;
            cost += prices[r->frequencies[TOKENS * statistic + token]];
        }
    return cost;
}

/* Backwards, from the end of bytes; where the first one is. */
static size_t code(const rans *r, uint32_t states[SETS][LANES], uint8_t *bytes) {
    size_t place = r->slots * LANES;
    for (size_t t = r->slots; t-- > 0;)
        for (int lane = LANES; lane-- > 0;) {
            size_t at = t * LANES + (size_t)lane;
            uint32_t *x = &states[t % SETS][lane];
            uint32_t f = r->frequencies[TOKENS * r->statistics[at] + r->tokens[at]];
            if (*x >= 256 * f) {
                bytes[--place] = (uint8_t)*x;
                *x >>= 8;
            }
            *x = 256 * (*x / f) + *x % f + r->cumulated[r->statistics[at]][r->tokens[at]];
        }
    return place;
}

static size_t put_raw(const rans *r, uint8_t *out, size_t room) {
    size_t size = 0, count = r->rows * r->cols;
    for (size_t position = 0; position < count; position++)
        for (int k = 0; k < r->coefficients; k++, size += r->c->channels)
            if (size + r->c->channels <= room)
                memcpy(out + size, number(r, position, k), r->c->channels);
    return size <= room ? size : 0;
}

static size_t put_coded(const rans *r, const uint8_t *escapes, size_t count, uint8_t *out,
                        size_t room) {
    uint32_t states[SETS][LANES];
    uint8_t *bytes = malloc(r->slots * LANES);
    size_t sets = r->slots < SETS ? r->slots : SETS, total = r->slots * LANES;
    for (int k = 0; k < SETS * LANES; k++) states[k / LANES][k % LANES] = LOWEST;
    if (!bytes) return 0;
    size_t place = code(r, states, bytes), first = (2 + count + 7) / 8 * 8;
    size_t size = first + 2 * LANES * sets + total - place;
    if (size <= room) {
        memset(out, 0, first);
        out[0] = (uint8_t)count;
        out[1] = (uint8_t)(count >> 8);
        memcpy(out + 2, escapes, count);
        for (size_t k = 0; k < LANES * sets; k++) {
            out[first + 2 * k] = (uint8_t)states[k / LANES][k % LANES];
            out[first + 2 * k + 1] = (uint8_t)(states[k / LANES][k % LANES] >> 8);
        }
        memcpy(out + first + 2 * LANES * sets, bytes + place, total - place);
    }
    free(bytes);
    return size <= room ? size : 0;
}

size_t fmzip_rans_encode(const fmzip_config *c, const fmzip_coding *coding, const uint8_t *values,
                         const fmzip_extent *e, uint8_t *out, size_t room, int *raw) {
    rans r;
    size_t size = 0, count = 0;
    if (begin(&r, c, coding, e)) return 0;
    uint8_t *escapes = malloc(r.slots * LANES);
    if (escapes && !quantise(&r, coding, values, e)) {
        size_t sets = r.slots < SETS ? r.slots : SETS;
        uint64_t cost = tokens_of(&r, escapes, &count);
        uint64_t most = (uint64_t)r.rows * r.cols * (size_t)r.coefficients * c->channels;
        *raw = (cost + 127) / 128 + 16 * sets + 8 >= most || count > FMZIP_ESCAPES_MAX;
        size = *raw ? put_raw(&r, out, room) : put_coded(&r, escapes, count, out, room);
    }
    free(escapes);
    end(&r);
    return size;
}

static int get_coded(rans *r, const uint8_t *data, size_t size) {
    uint32_t states[SETS][LANES];
    size_t sets = r->slots < SETS ? r->slots : SETS, taken = 0;
    size_t count = size < 2 ? 0 : data[0] | (size_t)data[1] << 8, first = (2 + count + 7) / 8 * 8;
    size_t place = first + 2 * LANES * sets;
    if (count > FMZIP_ESCAPES_MAX || place > size) return -1;
    for (size_t k = 0; k < LANES * sets; k++) {
        const uint8_t *at = data + first + 2 * k;
        states[k / LANES][k % LANES] = at[0] | (uint32_t)at[1] << 8;
        if (states[k / LANES][k % LANES] < LOWEST) return -1;
    }
    for (size_t t = 0; t < r->slots; t++)
        for (int lane = 0; lane < LANES; lane++) {
            int low, statistic = r->contexts[context_of(r, t, lane)], token = 0;
            uint32_t *x = &states[t % SETS][lane], slot = *x & 255;
            const uint8_t *f = r->frequencies + TOKENS * statistic;
            while (r->cumulated[statistic][token] + f[token] <= slot) token++;
            *x = f[token] * (*x >> 8) + slot - r->cumulated[statistic][token];
            if (*x < LOWEST) {
                if (place == size) return -1;
                *x = *x << 8 | data[place++];
            }
            int symbol = token, escape = token == ESCAPE;
            if (escape) {
                if (taken == count) return -1;
                symbol = data[2 + taken++];
                if (symbol <= r->limits[statistic]) return -1;
            }
            uint8_t *z = of_slot(r, t, lane, &low);
            if (r->planes == 2 && symbol > 15) return -1;
            set_class(r, t, lane, symbol, escape);
            *z = (uint8_t)(r->planes == 2 ? (low ? *z | symbol : symbol << 4) : symbol);
        }
    if (taken != count) return -1;
    for (size_t k = 0; k < LANES * sets; k++)
        if (states[k / LANES][k % LANES] != LOWEST) return -1;
    if (size - place >= (size_t)1 << r->c->burst_log2) return -1;
    while (place < size)
        if (data[place++]) return -1;
    return 0;
}

static int get_raw(rans *r, const uint8_t *data, size_t size) {
    size_t at = 0, count = r->rows * r->cols;
    for (size_t position = 0; position < count; position++)
        for (int k = 0; k < r->coefficients; k++, at += r->c->channels) {
            if (at + r->c->channels > size) return -1;
            memcpy(number(r, position, k), data + at, r->c->channels);
        }
    return 0;
}

static void rebuild(const rans *r, const fmzip_extent *e, uint8_t *values) {
    const fmzip_config *c = r->c;
    int low = c->dtype ? -128 : 0, shift = r->coefficients == 4 ? 7 : 6;
    for (size_t y = 0; y < e->rows; y++)
        for (size_t x = 0; x < e->cols; x++)
            for (size_t channel = 0; channel < c->channels; channel++) {
                size_t side = (size_t)r->side, position = y / side * r->cols + x / side;
                int pixel = (int)(y % side * 2 + x % side), sum = 0;
                for (int k = 0; k < r->coefficients; k++) {
                    int z = number(r, position, k)[channel];
                    int q = is_signed(r, k) ? (z & 1 ? -(z >> 1) - 1 : z >> 1) : z;
                    sum += r->coefficients == 4 ? wht4[pixel][k] * q : q;
                }
                int64_t value = (int64_t)sum * c->step + ((int64_t)1 << (shift - 1));
                values[((e->row + y) * c->width + e->col + x) * c->channels + channel] =
                    (uint8_t)clamp(fmzip_shift(value, shift) + c->zero_point, low, low + 255);
            }
}

int fmzip_rans_decode(const fmzip_config *c, const fmzip_coding *coding, const uint8_t *data,
                      const fmzip_extent *e, uint8_t *values) {
    rans r;
    if (begin(&r, c, coding, e)) return -1;
    int bad = e->raw ? get_raw(&r, data, e->bytes) : get_coded(&r, data, e->bytes);
    if (!bad) rebuild(&r, e, values);
    end(&r);
    return bad;
}
