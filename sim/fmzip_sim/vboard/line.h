// A serial line to the compiled UART: the far end's UART is a program, eight data bits, no parity.
// Both ends have the same clock, and a bit lasts kBitCycles of it.

#pragma once

// Its source, so that the compiler sees the whole cycle. The headers of all designs have one and the
// same guard.
#undef CXXRTL_DESIGN_HEADER
#include "uart.cc"

#include <cstdint>

class SerialLine {
public:
    static constexpr unsigned kBitCycles = FMZIP_BIT_CYCLES;

    SerialLine() {
        for (int k = 0; k < 4; ++k) {
            uart_.p_rst.set<uint8_t>(k < 2);
            uart_.p_rx.set<uint8_t>(1);
            evaluate(1);
            uart_.commit();
        }
    }

    // The UART's side of its streams in this cycle; all of it depends on state alone.
    bool has_byte() const { return uart_.p_o__valid.get<uint8_t>(); }
    uint8_t byte() const { return uart_.p_o__data.get<uint8_t>(); }
    bool has_room() const { return uart_.p_i__ready.get<uint8_t>(); }

    // Begin a cycle: what the far end has on the line. `offer` and `data`: its next byte, if any;
    // returns whether that byte was begun.
    bool begin(bool offer, uint8_t data) {
        bool begun = false;
        if (to_left_ == 0 && offer) {
            to_shift_ = static_cast<uint16_t>(1u << 9 | data << 1);
            to_left_ = 10 * kBitCycles;
            begun = true;
        }
        const unsigned bit = (10 * kBitCycles - to_left_) / kBitCycles;
        uart_.p_rx.set<uint8_t>(to_left_ ? to_shift_ >> bit & 1 : 1);
        if (to_left_) --to_left_;
        uart_.p_i__valid.set<uint8_t>(0);
        uart_.p_o__ready.set<uint8_t>(0);
        evaluate(0);  // without an edge: only what depends on state becomes known
        return begun;
    }

    // End a cycle: what the board did with the streams. Returns whether the far end got a byte.
    bool end(bool taken, bool given, uint8_t data, uint8_t &got) {
        uart_.p_o__ready.set<uint8_t>(taken);
        uart_.p_i__valid.set<uint8_t>(given);
        uart_.p_i__data.set<uint8_t>(data);
        evaluate(1);
        const bool level = uart_.p_tx.get<uint8_t>();
        uart_.commit();
        if (from_left_ == 0) {
            if (level) return false;
            from_left_ = 10 * kBitCycles;
            from_shift_ = 0;
        }
        const unsigned passed = 10 * kBitCycles - from_left_--;
        if (passed % kBitCycles == kBitCycles / 2)
            from_shift_ |= static_cast<uint16_t>(level << passed / kBitCycles);
        if (from_left_ != 0) return false;
        got = static_cast<uint8_t>(from_shift_ >> 1);
        return (from_shift_ & 1) == 0 && from_shift_ >> 9;
    }

    bool idle() const { return to_left_ == 0 && from_left_ == 0; }

private:
    void evaluate(bool edge) {
        uart_.p_clk.set<uint8_t>(edge);
        uart_.prev_p_clk.set<uint8_t>(0);
        uart_.eval(nullptr);
    }

    cxxrtl_design::p_uart uart_;
    unsigned to_left_ = 0, from_left_ = 0;  // cycles of the byte that is under way
    uint16_t to_shift_ = 0, from_shift_ = 0;
};
