// SPDX-License-Identifier: Apache-2.0
// Self-checking bench of both cores: frames of the reference through them, first without pauses,
// then with random ones on both sides. Prints PASS or FAIL. Only clocked code, so that it runs in
// Icarus (fmzip_icarus.v makes the clock) and in Verilator (main.cpp does).
`default_nettype none
`include "fmzip_tb_params.vh"

// Values or words from a file, one behind the other. A line is {last, data}.
module fmzip_source #(parameter WIDTH = 64, COUNT = 1, FILE = "") (
    input wire clk, input wire rst, input wire pause, output wire [WIDTH-1:0] data,
    output wire last, output reg valid, input wire ready);
  reg [WIDTH:0] lines [0:COUNT-1];
  reg [31:0] at;
  initial $readmemh(FILE, lines);
  assign {last, data} = lines[at < COUNT ? at : 0];
  wire [31:0] next = at + ((valid && ready) ? 1 : 0);
  always @(posedge clk)
    if (rst) begin
      at <= 0;
      valid <= 0;
    end else begin
      at <= next;
      if (!valid || ready) valid <= next < COUNT && !pause;  // what is offered is held
    end
endmodule

// Compares what comes with a file; a line is {flags, data}. Counts cycles from first to last.
module fmzip_sink #(parameter WIDTH = 64, COUNT = 1, FILE = "", NAME = "") (
    input wire clk, input wire rst, input wire pause, input wire [WIDTH-1:0] got,
    input wire [WIDTH-1:0] care, input wire valid, output reg ready,
    output reg [31:0] count, output reg bad);
  reg [WIDTH-1:0] lines [0:COUNT-1];
  reg [WIDTH-1:0] offered;
  reg waiting;
  initial $readmemh(FILE, lines);
  always @(posedge clk)
    if (rst) begin
      count <= 0;
      ready <= 0;
      bad <= 0;
      waiting <= 0;
    end else begin
      ready <= !pause;
      waiting <= valid && !ready;
      offered <= got;
      if (waiting && (!valid || got !== offered)) begin
        $display("FAIL: %0s: what was offered was not held, at %0d", NAME, count);
        bad <= 1;
      end
      if (valid && ready) begin
        count <= count + 1;
        if (count >= COUNT) begin
          $display("FAIL: %0s: more than %0d", NAME, COUNT);
          bad <= 1;
        end else if ((got & care) !== (lines[count] & care)) begin
          $display("FAIL: %0s: number %0d is %0h, not %0h", NAME, count, got, lines[count]);
          bad <= 1;
        end
      end
    end
endmodule

// Runs a program of register accesses. A line is {op, address, value, mask}: 1 write, 2 read until
// it is so, 3 read, it must be so, 4 pauses on or off, 0 end.
module fmzip_host #(parameter STEPS = 1, FILE = "", NAME = "") (
    input wire clk, input wire rst, output reg request, output wire write,
    output wire [6:0] address, output wire [31:0] value, input wire ack, input wire [31:0] answer,
    output reg pauses, output reg done, output reg bad);
  reg [79:0] program_lines [0:STEPS-1];
  reg [31:0] at;
  initial $readmemh(FILE, program_lines);
  wire [7:0] op = program_lines[at][79:72];
  wire [31:0] mask = program_lines[at][31:0];
  wire met = (answer & mask) == value;
  assign address = program_lines[at][70:64];
  assign value = program_lines[at][63:32];
  assign write = op == 1;
  always @(posedge clk)
    if (rst) begin
      at <= 0;
      request <= 0;
      pauses <= 0;
      done <= 0;
      bad <= 0;
    end else if (request) begin
      if (ack) begin
        request <= 0;
        if (op == 3 && !met) begin
          $display("FAIL: %0s: register %0h is %0h, not %0h", NAME, address, answer, value);
          bad <= 1;
        end
        if (op != 2 || met) at <= at + 1;
      end
    end else if (op == 0) done <= 1;
    else if (op == 4) begin
      pauses <= value[0];
      at <= at + 1;
    end else request <= 1;
endmodule

`ifdef FMZIP_AXI
// An AXI4-Lite manager, one access at a time.
module fmzip_manager (
    input wire clk, input wire rst, input wire request, input wire write, output reg ack,
    output reg [31:0] answer, output reg awvalid, input wire awready, output reg wvalid,
    input wire wready, input wire bvalid, input wire [1:0] bresp, output reg arvalid,
    input wire arready, input wire rvalid, input wire [31:0] rdata, output reg bad);
  reg busy;
  always @(posedge clk)
    if (rst) {busy, ack, awvalid, wvalid, arvalid, bad} <= 0;
    else begin
      ack <= 0;
      if (awready) awvalid <= 0;
      if (wready) wvalid <= 0;
      if (arready) arvalid <= 0;
      if (request && !busy && !ack) begin
        busy <= 1;
        awvalid <= write;
        wvalid <= write;
        arvalid <= !write;
      end
      if (busy && (bvalid || rvalid)) begin
        busy <= 0;
        ack <= 1;
        answer <= rdata;
        if (bvalid && bresp != 0) begin
          $display("FAIL: a write was refused");
          bad <= 1;
        end
      end
    end
endmodule
`endif

module fmzip_tb (input wire clk);
  localparam LANES = `FMZIP_LANES;
  reg [31:0] now = 0;
  reg [31:0] noise = 32'h1234_5678;
  wire rst = now < 4;
  always @(posedge clk) begin
    now <= now + 1;
    noise <= {noise[30:0], noise[31] ^ noise[21] ^ noise[1] ^ noise[0]};
  end

  // Encoder ------------------------------------------------------------------------------------
  wire enc_request, enc_write, enc_ack, enc_pauses, enc_done, enc_bad_host, enc_bad_sink;
  wire enc_bad_bus;
  wire [6:0] enc_address;
  wire [31:0] enc_value, enc_answer, enc_count;
  wire [8*LANES-1:0] enc_i_data;
  wire enc_i_last, enc_i_valid, enc_i_ready;
  wire [63:0] enc_o_data;
  wire enc_o_last, enc_o_head, enc_o_valid, enc_o_ready;
  fmzip_host #(`FMZIP_ENC_STEPS, "vectors/encoder_program.hex", "encoder") enc_host (
      clk, rst, enc_request, enc_write, enc_address, enc_value, enc_ack, enc_answer, enc_pauses,
      enc_done, enc_bad_host);
  fmzip_source #(8*LANES, `FMZIP_ENC_IN, "vectors/encoder_in.hex") enc_source (
      clk, rst, enc_pauses && noise[3], enc_i_data, enc_i_last, enc_i_valid, enc_i_ready);
  fmzip_sink #(66, `FMZIP_ENC_OUT, "vectors/encoder_out.hex", "encoder") enc_sink (
      clk, rst, enc_pauses && noise[7], {enc_o_head, enc_o_last, enc_o_data}, {66{1'b1}},
      enc_o_valid, enc_o_ready, enc_count, enc_bad_sink);

  // Decoder ------------------------------------------------------------------------------------
  wire dec_request, dec_write, dec_ack, dec_pauses, dec_done, dec_bad_host, dec_bad_sink;
  wire dec_bad_bus;
  wire [6:0] dec_address;
  wire [31:0] dec_value, dec_answer, dec_count;
  wire [63:0] dec_i_data;
  wire dec_i_last, dec_i_valid, dec_i_ready;
  wire [8*LANES-1:0] dec_o_data, dec_care;
  wire [LANES-1:0] dec_o_keep;
  wire dec_o_last, dec_o_valid, dec_o_ready;
  genvar lane;
  generate
    for (lane = 0; lane < LANES; lane = lane + 1) begin : mask
      assign dec_care[8*lane +: 8] = {8{dec_o_keep[lane]}};
    end
  endgenerate
  fmzip_host #(`FMZIP_DEC_STEPS, "vectors/decoder_program.hex", "decoder") dec_host (
      clk, rst, dec_request, dec_write, dec_address, dec_value, dec_ack, dec_answer, dec_pauses,
      dec_done, dec_bad_host);
  fmzip_source #(64, `FMZIP_DEC_IN, "vectors/decoder_in.hex") dec_source (
      clk, rst, dec_pauses && noise[11], dec_i_data, dec_i_last, dec_i_valid, dec_i_ready);
  fmzip_sink #(9*LANES+1, `FMZIP_DEC_OUT, "vectors/decoder_out.hex", "decoder") dec_sink (
      clk, rst, dec_pauses && noise[17], {dec_o_last, dec_o_keep, dec_o_data},
      {{LANES+1{1'b1}}, dec_care}, dec_o_valid, dec_o_ready, dec_count, dec_bad_sink);

`include "fmzip_tb_cores.vh"

  // The first frame is large and has no pauses: its cycles per beat.
  reg [31:0] enc_first, enc_last, enc_beats, dec_first, dec_last, dec_beats;
  always @(posedge clk)
    if (rst) {enc_beats, dec_beats} <= 0;
    else begin
      if (enc_i_valid && enc_i_ready && !enc_pauses && enc_beats < `FMZIP_LARGE) begin
        if (enc_beats == 0) enc_first <= now;
        enc_last <= now;
        enc_beats <= enc_beats + 1;
      end
      if (dec_o_valid && dec_o_ready && !dec_pauses && dec_beats < `FMZIP_LARGE) begin
        if (dec_beats == 0) dec_first <= now;
        dec_last <= now;
        dec_beats <= dec_beats + 1;
      end
    end

  wire bad = enc_bad_host || enc_bad_sink || enc_bad_bus || dec_bad_host || dec_bad_sink
      || dec_bad_bus;
  always @(posedge clk)
    if (!rst) begin
      if (bad) begin
        $display("FAIL");
        $fatal;
      end else if (now > `FMZIP_LIMIT) begin
        $display("FAIL: not done after %0d cycles; %0d words of the encoder, %0d beats of the decoder",
                 now, enc_count, dec_count);
        $fatal;
      end else if (enc_done && dec_done) begin
        if (enc_count != `FMZIP_ENC_OUT || dec_count != `FMZIP_DEC_OUT) begin
          $display("FAIL: %0d words of the encoder, %0d beats of the decoder", enc_count, dec_count);
          $fatal;
        end else begin
          $display("encoder: %0d beats in %0d cycles", enc_beats, enc_last - enc_first + 1);
          $display("decoder: %0d beats in %0d cycles", dec_beats, dec_last - dec_first + 1);
          $display("PASS: %0d words, %0d beats, %0d cycles", enc_count, dec_count, now);
          $finish;
        end
      end
    end
endmodule
