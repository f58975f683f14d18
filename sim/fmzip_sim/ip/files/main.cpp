// SPDX-License-Identifier: Apache-2.0
// The bench's clock in Verilator.
#include "Vfmzip_tb.h"
#include "verilated.h"

int main(int argc, char** argv) {
    VerilatedContext context;
    context.commandArgs(argc, argv);
    Vfmzip_tb bench{&context};
    for (bench.clk = 0; !context.gotFinish(); bench.clk = !bench.clk) bench.eval();
    bench.final();
    return 0;
}
