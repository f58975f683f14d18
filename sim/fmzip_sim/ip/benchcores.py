"""The part of the Verilog bench that depends on the ports: cores, and how registers reach them."""

from fmzip.ipregs import CORE_REGISTER, core_bits, core_ident
from fmzip_sim.ip.verilog import core_name


def bench_cores(codec: str, *, axi: bool, tables: bool) -> str:
    """What ``fmzip_tb.v`` includes."""
    make = _axi if axi else _plain
    return "// SPDX-License-Identifier: Apache-2.0\n" + "\n".join(
        make(core_name(codec, side), side[:3], decoder=side == "decoder", tables=tables)
        for side in ("encoder", "decoder")
    )


def _axi(module: str, p: str, *, decoder: bool, tables: bool) -> str:
    keep_in = ".s_axis_tkeep(8'hff), " if decoder else ""
    out = f".m_axis_tkeep({p}_o_keep)" if decoder else f".m_axis_tkeep(), .m_axis_tdest({p}_o_head)"
    del tables
    return f"""
  wire {p}_awvalid, {p}_awready, {p}_wvalid, {p}_wready, {p}_bvalid, {p}_arvalid, {p}_arready;
  wire {p}_rvalid;
  wire [1:0] {p}_bresp;
  wire [31:0] {p}_rdata;
  fmzip_manager {p}_manager (
      clk, rst, {p}_request, {p}_write, {p}_ack, {p}_answer, {p}_awvalid, {p}_awready, {p}_wvalid,
      {p}_wready, {p}_bvalid, {p}_bresp, {p}_arvalid, {p}_arready, {p}_rvalid, {p}_rdata,
      {p}_bad_bus);
  {module} {p}_core (
      .aclk(clk), .aresetn(!rst), .irq(),
      .s_axil_awaddr({p}_address), .s_axil_awprot(3'b0), .s_axil_awvalid({p}_awvalid),
      .s_axil_awready({p}_awready), .s_axil_wdata({p}_value), .s_axil_wstrb(4'hf),
      .s_axil_wvalid({p}_wvalid), .s_axil_wready({p}_wready), .s_axil_bresp({p}_bresp),
      .s_axil_bvalid({p}_bvalid), .s_axil_bready(1'b1), .s_axil_araddr({p}_address),
      .s_axil_arprot(3'b0), .s_axil_arvalid({p}_arvalid), .s_axil_arready({p}_arready),
      .s_axil_rdata({p}_rdata), .s_axil_rresp(), .s_axil_rvalid({p}_rvalid), .s_axil_rready(1'b1),
      .s_axis_tdata({p}_i_data), {keep_in}.s_axis_tlast({p}_i_last), .s_axis_tvalid({p}_i_valid),
      .s_axis_tready({p}_i_ready), .m_axis_tdata({p}_o_data), {out}, .m_axis_tlast({p}_o_last),
      .m_axis_tvalid({p}_o_valid), .m_axis_tready({p}_o_ready));
"""


def _plain(module: str, p: str, *, decoder: bool, tables: bool) -> str:
    """The registers of the AXI core as a model around the plain one, so that programs are alike."""

    def here(name: str, words: int = 1) -> str:
        first = CORE_REGISTER[name].address >> 2
        if words == 1:
            return f"{p}_address[6:2] == {first}"
        return f"{p}_address[6:2] >= {first} && {p}_address[6:2] < {first + words}"

    def command(name: str) -> str:
        return f"{p}_write_now && {here('control')} && {p}_value[{core_bits('control', name).low}]"

    head = CORE_REGISTER["head"]
    fault = core_bits("status", "fault").low
    whole = core_bits("status", "tables").low
    ports = [f".clk(clk), .rst(rst), .head({p}_head), .start({command('start')}), .abort(1'b0)"]
    ports += [f".busy({p}_busy), .fault({p}_fault), .first({p}_head_words)"]
    ports += [f".i_data({p}_i_data), .i_valid({p}_i_valid), .i_ready({p}_i_ready)"]
    ports += [f".o_data({p}_o_data), .o_last({p}_o_last)"]
    ports += [f".o_valid({p}_o_valid), .o_ready({p}_o_ready)"]
    if decoder:
        ports += [f".i_last({p}_i_last), .i_null(1'b0), .o_keep({p}_o_keep)"]
        ports += [".tile(1'b0), .raw(1'b0)"]
    else:
        ports += [f".o_head({p}_o_head), .multiplier({p}_multiplier[16:0]), .words({p}_words)"]
        ports += [".all()"]
        if tables:
            ports += [f".diffusion({p}_diffusion[19:0])"]
    wait = "1'b1"
    if tables:
        wait = f"!({p}_write && {here('tables')}) || ({p}_t_ready && {p}_part == 3)"
        ports += [f".tables_data({p}_value[8*{p}_part +: 8]), .tables_valid({p}_t_valid)"]
        ports += [f".tables_ready({p}_t_ready), .tables_whole({p}_whole)"]
        ports += [f".tables_start({command('tables')})"]
    joined = ",\n      ".join(ports)
    return f"""
  reg [255:0] {p}_head;
  reg [31:0] {p}_multiplier, {p}_diffusion, {p}_words_seen;
  reg {p}_ended, {p}_was_busy;
  reg [1:0] {p}_part;
  wire [7:0] {p}_fault;
  wire [9:0] {p}_head_words;
  wire [31:0] {p}_words;
  wire {p}_busy, {p}_t_ready, {p}_whole;
  wire [31:0] {p}_status =
      {p}_busy | {p}_ended << 1 | ({p}_whole === 1'b1) << {whole} | {p}_fault << {fault};
  wire {p}_t_valid = {p}_request && {p}_write && {here("tables")};
  assign {p}_ack = {p}_request && ({wait});
  wire {p}_write_now = {p}_ack && {p}_write;
  assign {p}_bad_bus = 1'b0;
  assign {p}_answer =
      {here("ident")} ? 32'h{core_ident():08x} :
      {here("status")} ? {p}_status :
      {here("head_bytes")} ? {p}_head_words << 3 :
      {here("frame_bytes")} ? {p}_words << 3 : 0;
  always @(posedge clk)
    if (rst) {{{p}_ended, {p}_was_busy, {p}_part}} <= 0;
    else begin
      {p}_was_busy <= {p}_busy;
      if ({p}_t_valid && {p}_t_ready) {p}_part <= {p}_part + 1;
      if ({command("start")}) {p}_ended <= 0;
      else if ({p}_was_busy && !{p}_busy) {p}_ended <= 1;
      if ({p}_write_now && {here("multiplier")}) {p}_multiplier <= {p}_value;
      if ({p}_write_now && {here("diffusion")}) {p}_diffusion <= {p}_value;
      if ({p}_write_now && {here("head", head.words)})
        {p}_head[32*({p}_address[6:2] - {head.address >> 2}) +: 32] <= {p}_value;
    end
  {module} {p}_core (
      {joined});
"""
