// One clock cycle of a compiled design with the single clock `clk`: set inputs, `settle`, sample
// outputs, `edge`.

#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#ifdef FMZIP_TWO_PHASE
// The way of CXXRTL's manual: everything settles while the clock is low, then comes the edge.
template <class Design>
void settle(Design &design) {
    design.p_clk.template set<uint8_t>(0);
    design.step();
}

template <class Design>
void edge(Design &design) {
    design.p_clk.template set<uint8_t>(1);
    design.step();
}
#else
// Evaluate one rising edge without its commit: the ports then show what they held before the edge.
// There is one clock, and no input depends on an output of the same cycle, so nothing has to settle
// while the clock is low; a design with feedback wires would need more than one evaluation.
template <class Design>
void settle(Design &design) {
    design.p_clk.template set<uint8_t>(1);
    design.prev_p_clk.template set<uint8_t>(0);
    if (!design.eval(nullptr)) {
        std::fprintf(stderr, "the compiled design has feedback wires\n");
        std::exit(2);
    }
}

template <class Design>
void edge(Design &design) {
    design.commit();
}
#endif
