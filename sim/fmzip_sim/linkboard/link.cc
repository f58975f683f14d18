// The board's side of the link alone, as a library: the compiled bridge, words behind its bus, and,
// if asked for, the compiled UART and a line. One clock; all inputs depend on state alone.

#include "bridge.h"

#include "cycle.h"
#include "line.h"

#include <cstdint>
#include <deque>
#include <vector>

namespace {

constexpr size_t kWords = 1 << 14;  // the bus sees them over and over
// Nothing takes so long that goes on; an access takes up to four cycles.
constexpr unsigned kIdleCycles = 64;

struct Write {
    uint32_t address, data;
};

struct Board {
    cxxrtl_design::p_bridge bridge;
    SerialLine line;
    bool serial = false;
    uint32_t words[kWords] = {};
    std::vector<Write> writes;
    std::deque<uint8_t> in;
    uint64_t cycles = 0;
    uint32_t noise = 1;
    unsigned wait = 0;

    void reset() {
        bridge.p_i__valid.set<uint8_t>(0);
        bridge.p_o__ready.set<uint8_t>(0);
        for (int k = 0; k < 4; ++k) {
            bridge.p_rst.set<uint8_t>(k < 2);
            settle(bridge);
            edge(bridge);
        }
        wait = 0;
    }

    // One cycle. Returns whether anything moved; `got` becomes the byte that came out, or -1.
    bool clock(int &got) {
        got = -1;
        bool offer = !in.empty(), room = true;
        uint8_t byte = offer ? in.front() : 0;
        bool moved = offer;
        if (serial) {
            if (line.begin(offer, byte)) in.pop_front();
            offer = line.has_byte();
            byte = line.byte();
            room = line.has_room();
        }
        const bool ack = wait == 0;
        bridge.p_i__valid.set<uint8_t>(offer);
        bridge.p_i__data.set<uint8_t>(byte);
        bridge.p_o__ready.set<uint8_t>(room);
        bridge.p_bus__ack.set<uint8_t>(ack);
        bridge.p_bus__read.set<uint32_t>(ack ? words[place_] : 0xBAD0BAD0);
        settle(bridge);
        const bool taken = offer && bridge.p_i__ready.get<uint8_t>();
        const bool given = room && bridge.p_o__valid.get<uint8_t>();
        const uint8_t out = bridge.p_o__data.get<uint8_t>();
        if (bridge.p_bus__valid.get<uint8_t>()) {
            moved = true;
            const uint32_t address = bridge.p_bus__address.get<uint32_t>();
            if (!ack) {
                --wait;
            } else if (bridge.p_bus__write.get<uint8_t>()) {
                const uint32_t data = bridge.p_bus__data.get<uint32_t>();
                words[address / 4 % kWords] = data;
                writes.push_back({address, data});
            }
            if (ack) {
                noise = noise * 1664525 + 1013904223;
                wait = noise >> 30;
            }
        }
        if (serial) {
            uint8_t byte_out;
            if (line.end(taken, given, out, byte_out)) got = byte_out;
            moved |= !line.idle();
        } else {
            if (taken) in.pop_front();
            if (given) got = out;
        }
        edge(bridge);
        // The address is a register: what is read next is known before the cycle begins.
        place_ = bridge.p_bus__address.get<uint32_t>() / 4 % kWords;
        ++cycles;
        return moved || taken || given;
    }

private:
    size_t place_ = 0;
};

}  // namespace

extern "C" {

Board *board_new(int serial) {
    Board *board = new Board;
    board->serial = serial != 0;
    board->reset();
    return board;
}

void board_free(Board *board) { delete board; }

void board_reset(Board *board) { board->reset(); }

// Bytes for the line, in addition to those that are still on their way.
void board_send(Board *board, const uint8_t *data, size_t size) {
    board->in.insert(board->in.end(), data, data + size);
}

// Run until `cycles` have passed or `capacity` bytes have come out, or, if `idle`, until nothing
// moves any more. Returns the number of bytes that came out.
size_t board_run(Board *board, uint64_t cycles, int idle, uint8_t *out, size_t capacity) {
    size_t size = 0;
    unsigned quiet = 0;
    for (uint64_t k = 0; k < cycles && size < capacity; ++k) {
        int got;
        quiet = board->clock(got) ? 0 : quiet + 1;
        if (got >= 0) out[size++] = static_cast<uint8_t>(got);
        if (idle && quiet > kIdleCycles) break;
    }
    return size;
}

uint64_t board_cycles(const Board *board) { return board->cycles; }

uint32_t *board_words(Board *board) { return board->words; }

// Writes that were executed since the last call: pairs of address and data.
size_t board_writes(Board *board, uint32_t *pairs, size_t capacity) {
    const size_t count = board->writes.size();
    if (count > capacity) return count;
    for (const Write &w : board->writes) {
        *pairs++ = w.address;
        *pairs++ = w.data;
    }
    board->writes.clear();
    return count;
}

}  // extern "C"
