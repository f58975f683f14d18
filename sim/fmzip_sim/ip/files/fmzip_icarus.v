// SPDX-License-Identifier: Apache-2.0
`timescale 1ns / 1ps
module fmzip_icarus;
  reg clk = 0;
  always #5 clk = !clk;
  fmzip_tb tb (clk);
endmodule
