// Cells of the ECP5 for simulation, where yosys's own library has only black boxes: block RAM and
// multiplier, in the modes in which they occur here. Any other mode is an instance of a module that
// does not exist, so that yosys refuses it. A word that is read while it is written comes out
// inverted: whoever looks at it is found out.

module DP16KD(
    input DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5,
    DIA4, DIA3, DIA2, DIA1, DIA0,
    input ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0,
    input CEA, OCEA, CLKA, WEA, RSTA, CSA2, CSA1, CSA0,
    input DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5,
    DIB4, DIB3, DIB2, DIB1, DIB0,
    input ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0,
    input CEB, OCEB, CLKB, WEB, RSTB, CSB2, CSB1, CSB0,
    output DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5,
    DOA4, DOA3, DOA2, DOA1, DOA0,
    output DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5,
    DOB4, DOB3, DOB2, DOB1, DOB0
);
    parameter DATA_WIDTH_A = 18, DATA_WIDTH_B = 18;
    parameter REGMODE_A = "NOREG", REGMODE_B = "NOREG";
    parameter WRITEMODE_A = "NORMAL", WRITEMODE_B = "NORMAL";
    parameter CSDECODE_A = "0b000", CSDECODE_B = "0b000";
    parameter CLKAMUX = "CLKA", CLKBMUX = "CLKB";
    parameter RESETMODE = "SYNC", ASYNC_RESET_RELEASE = "SYNC";
    parameter GSR = "ENABLED";
    parameter INIT_DATA = "STATIC", WID = 0;
    parameter INITVAL_00 = 320'h0, INITVAL_01 = 320'h0, INITVAL_02 = 320'h0, INITVAL_03 = 320'h0,
    INITVAL_04 = 320'h0, INITVAL_05 = 320'h0, INITVAL_06 = 320'h0, INITVAL_07 = 320'h0;
    parameter INITVAL_08 = 320'h0, INITVAL_09 = 320'h0, INITVAL_0A = 320'h0, INITVAL_0B = 320'h0,
    INITVAL_0C = 320'h0, INITVAL_0D = 320'h0, INITVAL_0E = 320'h0, INITVAL_0F = 320'h0;
    parameter INITVAL_10 = 320'h0, INITVAL_11 = 320'h0, INITVAL_12 = 320'h0, INITVAL_13 = 320'h0,
    INITVAL_14 = 320'h0, INITVAL_15 = 320'h0, INITVAL_16 = 320'h0, INITVAL_17 = 320'h0;
    parameter INITVAL_18 = 320'h0, INITVAL_19 = 320'h0, INITVAL_1A = 320'h0, INITVAL_1B = 320'h0,
    INITVAL_1C = 320'h0, INITVAL_1D = 320'h0, INITVAL_1E = 320'h0, INITVAL_1F = 320'h0;
    parameter INITVAL_20 = 320'h0, INITVAL_21 = 320'h0, INITVAL_22 = 320'h0, INITVAL_23 = 320'h0,
    INITVAL_24 = 320'h0, INITVAL_25 = 320'h0, INITVAL_26 = 320'h0, INITVAL_27 = 320'h0;
    parameter INITVAL_28 = 320'h0, INITVAL_29 = 320'h0, INITVAL_2A = 320'h0, INITVAL_2B = 320'h0,
    INITVAL_2C = 320'h0, INITVAL_2D = 320'h0, INITVAL_2E = 320'h0, INITVAL_2F = 320'h0;
    parameter INITVAL_30 = 320'h0, INITVAL_31 = 320'h0, INITVAL_32 = 320'h0, INITVAL_33 = 320'h0,
    INITVAL_34 = 320'h0, INITVAL_35 = 320'h0, INITVAL_36 = 320'h0, INITVAL_37 = 320'h0;
    parameter INITVAL_38 = 320'h0, INITVAL_39 = 320'h0, INITVAL_3A = 320'h0, INITVAL_3B = 320'h0,
    INITVAL_3C = 320'h0, INITVAL_3D = 320'h0, INITVAL_3E = 320'h0, INITVAL_3F = 320'h0;

    generate if (WRITEMODE_A == "WRITETHROUGH" || WRITEMODE_B == "WRITETHROUGH"
            || CSDECODE_A != "0b000" || CSDECODE_B != "0b000" || CLKAMUX != "CLKA"
            || CLKBMUX != "CLKB")
        mode_that_is_not_modelled refused();
    endgenerate

    // Words have 1, 2, 4, 9, 18 or 36 bits. With 36 port A writes and port B reads, on the data pins
    // of both. The address is in the upper bits; below it are the enables of bytes, if there are any.
    localparam WIDE = DATA_WIDTH_A == 36;
    localparam LOW = WIDE ? 5 : DATA_WIDTH_A == 18 ? 4 : DATA_WIDTH_A == 9 ? 3
        : DATA_WIDTH_A == 4 ? 2 : DATA_WIDTH_A == 2 ? 1 : 0;
    localparam BYTES = WIDE ? 4 : DATA_WIDTH_A == 18 ? 2 : 1;
    localparam BYTE = DATA_WIDTH_A / BYTES;
    reg [DATA_WIDTH_A - 1:0] words [0:(1 << 14 - LOW) - 1];
    wire [17:0] dia = {DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0};
    wire [17:0] dib = {DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0};
    wire [13:0] ada = {ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0};
    wire [13:0] adb = {ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0};
    wire [13 - LOW:0] at_a = ada[13:LOW];
    wire [13 - LOW:0] at_b = adb[13:LOW];
    wire [35:0] in_a = WIDE ? {dib, dia} : {18'd0, dia};
    wire on_a = CEA & ~(CSA2 | CSA1 | CSA0), on_b = CEB & ~(CSB2 | CSB1 | CSB0);
    wire write_a = on_a & WEA, write_b = on_b & WEB;
    wire same = at_a == at_b;
    reg [DATA_WIDTH_A - 1:0] array_a = 0, array_b = 0, held_a = 0, held_b = 0;
    // yosys leaves port B at 18 bits where it is not used. Widths that differ are not modelled: then
    // what is read at B is wrong, and nothing is written there.
    localparam EQUAL = DATA_WIDTH_A == DATA_WIDTH_B;
    // First words, each 18 bits of them in 20. A word of less than 9 bits lies in the lower 8 of 9.
    localparam [64 * 320 - 1:0] INIT = {
        INITVAL_3F, INITVAL_3E, INITVAL_3D, INITVAL_3C, INITVAL_3B, INITVAL_3A, INITVAL_39,
        INITVAL_38, INITVAL_37, INITVAL_36, INITVAL_35, INITVAL_34, INITVAL_33, INITVAL_32,
        INITVAL_31, INITVAL_30, INITVAL_2F, INITVAL_2E, INITVAL_2D, INITVAL_2C, INITVAL_2B,
        INITVAL_2A, INITVAL_29, INITVAL_28, INITVAL_27, INITVAL_26, INITVAL_25, INITVAL_24,
        INITVAL_23, INITVAL_22, INITVAL_21, INITVAL_20, INITVAL_1F, INITVAL_1E, INITVAL_1D,
        INITVAL_1C, INITVAL_1B, INITVAL_1A, INITVAL_19, INITVAL_18, INITVAL_17, INITVAL_16,
        INITVAL_15, INITVAL_14, INITVAL_13, INITVAL_12, INITVAL_11, INITVAL_10, INITVAL_0F,
        INITVAL_0E, INITVAL_0D, INITVAL_0C, INITVAL_0B, INITVAL_0A, INITVAL_09, INITVAL_08,
        INITVAL_07, INITVAL_06, INITVAL_05, INITVAL_04, INITVAL_03, INITVAL_02, INITVAL_01,
        INITVAL_00};
    function [DATA_WIDTH_A - 1:0] first_word;
        input integer at;
        integer place;
        begin
            place = DATA_WIDTH_A * at;
            if (WIDE) first_word = {INIT[40 * at + 20 +: 18], INIT[40 * at +: 18]};
            else if (DATA_WIDTH_A == 18) first_word = INIT[20 * at +: 18];
            else if (DATA_WIDTH_A == 9) first_word = INIT[at / 2 * 20 + at % 2 * 9 +: 9];
            else first_word = INIT[place / 16 * 20 + place / 8 % 2 * 9 + place % 8 +: DATA_WIDTH_A];
        end
    endfunction
    integer k;
    generate if (INIT == 0)
        initial for (k = 0; k < 1 << 14 - LOW; k = k + 1) words[k] = 0;
    else
        initial for (k = 0; k < 1 << 14 - LOW; k = k + 1) words[k] = first_word(k);
    endgenerate
    always @(posedge CLKA)
        for (k = 0; k < BYTES; k = k + 1)
            if (write_a & (BYTES == 1 | ada[k]))
                words[at_a][BYTE * k +: BYTE] <= in_a[BYTE * k +: BYTE];
    always @(posedge CLKB)
        for (k = 0; k < (WIDE | !EQUAL ? 0 : BYTES); k = k + 1)
            if (write_b & (BYTES == 1 | adb[k]))
                words[at_b][BYTE * k +: BYTE] <= dib[BYTE * k +: BYTE];
    wire at_once_a = RESETMODE == "ASYNC" & RSTA, at_once_b = RESETMODE == "ASYNC" & RSTB;
    always @(posedge CLKA or posedge at_once_a)
        if (at_once_a) begin array_a <= 0; held_a <= 0; end
        else begin
            if (RSTA) array_a <= 0;
            else if (on_a & (~WEA | WRITEMODE_A == "READBEFOREWRITE"))
                array_a <= write_b & same ? ~words[at_a] : words[at_a];
            if (RSTA) held_a <= 0;
            else if (OCEA) held_a <= array_a;
        end
    always @(posedge CLKB or posedge at_once_b)
        if (at_once_b) begin array_b <= 0; held_b <= 0; end
        else begin
            if (RSTB) array_b <= 0;
            else if (on_b & (~WEB | WRITEMODE_B == "READBEFOREWRITE"))
                array_b <= write_a & same ? ~words[at_b] : words[at_b];
            if (RSTB) held_b <= 0;
            else if (OCEB) held_b <= array_b;
        end
    wire [DATA_WIDTH_A - 1:0] word_a = REGMODE_A == "OUTREG" ? held_a : array_a;
    reg wrong = 0;
    always @(posedge CLKA) wrong <= ~wrong;
    wire [35:0] word_b = !EQUAL ? {36{wrong}} : REGMODE_B == "OUTREG" ? held_b : array_b;
    assign {DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5,
    DOA4, DOA3, DOA2, DOA1, DOA0} = WIDE ? word_b[17:0] : word_a;
    assign {DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5,
    DOB4, DOB3, DOB2, DOB1, DOB0} = WIDE ? word_b[35:18] : word_b;
endmodule

// nextpnr makes a DP16KD of it in this way; so do the halves of the output change places.
module PDPW16KD(
    input DI35, DI34, DI33, DI32, DI31, DI30, DI29, DI28, DI27, DI26, DI25, DI24, DI23, DI22,
    DI21, DI20, DI19, DI18, DI17, DI16, DI15, DI14, DI13, DI12, DI11, DI10, DI9, DI8, DI7, DI6,
    DI5, DI4, DI3, DI2, DI1, DI0,
    input ADW8, ADW7, ADW6, ADW5, ADW4, ADW3, ADW2, ADW1, ADW0, BE3, BE2, BE1, BE0,
    input CEW, CLKW, CSW2, CSW1, CSW0,
    input ADR13, ADR12, ADR11, ADR10, ADR9, ADR8, ADR7, ADR6, ADR5, ADR4, ADR3, ADR2, ADR1, ADR0,
    input CER, OCER, CLKR, CSR2, CSR1, CSR0, RST,
    output DO35, DO34, DO33, DO32, DO31, DO30, DO29, DO28, DO27, DO26, DO25, DO24, DO23, DO22,
    DO21, DO20, DO19, DO18, DO17, DO16, DO15, DO14, DO13, DO12, DO11, DO10, DO9, DO8, DO7, DO6,
    DO5, DO4, DO3, DO2, DO1, DO0
);
    parameter DATA_WIDTH_W = 36, DATA_WIDTH_R = 36;
    parameter REGMODE = "NOREG", RESETMODE = "SYNC", ASYNC_RESET_RELEASE = "SYNC";
    parameter CSDECODE_W = "0b000", CSDECODE_R = "0b000", CLKWMUX = "CLKW", CLKRMUX = "CLKR";
    parameter GSR = "ENABLED";
    generate if (DATA_WIDTH_W != 36 || DATA_WIDTH_R != 36 || CLKWMUX != "CLKW" || CLKRMUX != "CLKR")
        mode_that_is_not_modelled refused();
    endgenerate
    DP16KD #(
        .DATA_WIDTH_A(36), .DATA_WIDTH_B(36), .REGMODE_A(REGMODE), .REGMODE_B(REGMODE),
        .CSDECODE_A(CSDECODE_W), .CSDECODE_B(CSDECODE_R), .RESETMODE(RESETMODE)
    ) ram (
        .DIA0(DI0), .DIB0(DI18), .DOA0(DO18), .DOB0(DO0), .DIA1(DI1), .DIB1(DI19), .DOA1(DO19),
        .DOB1(DO1), .DIA2(DI2), .DIB2(DI20), .DOA2(DO20), .DOB2(DO2), .DIA3(DI3), .DIB3(DI21),
        .DOA3(DO21), .DOB3(DO3), .DIA4(DI4), .DIB4(DI22), .DOA4(DO22), .DOB4(DO4), .DIA5(DI5),
        .DIB5(DI23), .DOA5(DO23), .DOB5(DO5), .DIA6(DI6), .DIB6(DI24), .DOA6(DO24), .DOB6(DO6),
        .DIA7(DI7), .DIB7(DI25), .DOA7(DO25), .DOB7(DO7), .DIA8(DI8), .DIB8(DI26), .DOA8(DO26),
        .DOB8(DO8), .DIA9(DI9), .DIB9(DI27), .DOA9(DO27), .DOB9(DO9), .DIA10(DI10), .DIB10(DI28),
        .DOA10(DO28), .DOB10(DO10), .DIA11(DI11), .DIB11(DI29), .DOA11(DO29), .DOB11(DO11),
        .DIA12(DI12), .DIB12(DI30), .DOA12(DO30), .DOB12(DO12), .DIA13(DI13), .DIB13(DI31),
        .DOA13(DO31), .DOB13(DO13), .DIA14(DI14), .DIB14(DI32), .DOA14(DO32), .DOB14(DO14),
        .DIA15(DI15), .DIB15(DI33), .DOA15(DO33), .DOB15(DO15), .DIA16(DI16), .DIB16(DI34),
        .DOA16(DO34), .DOB16(DO16), .DIA17(DI17), .DIB17(DI35), .DOA17(DO35), .DOB17(DO17),
        .ADA5(ADW0), .ADA6(ADW1), .ADA7(ADW2), .ADA8(ADW3), .ADA9(ADW4), .ADA10(ADW5),
        .ADA11(ADW6), .ADA12(ADW7), .ADA13(ADW8),
        .ADB0(ADR0), .ADB1(ADR1), .ADB2(ADR2), .ADB3(ADR3), .ADB4(ADR4), .ADB5(ADR5), .ADB6(ADR6),
        .ADB7(ADR7), .ADB8(ADR8), .ADB9(ADR9), .ADB10(ADR10), .ADB11(ADR11), .ADB12(ADR12),
        .ADB13(ADR13),
        .ADA0(BE0), .ADA1(BE1), .ADA2(BE2), .ADA3(BE3), .ADA4(1'b0),
        .CEA(CEW), .OCEA(1'b0), .CLKA(CLKW), .WEA(1'b1), .RSTA(RST),
        .CSA0(CSW0), .CSA1(CSW1), .CSA2(CSW2),
        .CEB(CER), .OCEB(OCER), .CLKB(CLKR), .WEB(1'b0), .RSTB(RST),
        .CSB0(CSR0), .CSB1(CSR1), .CSB2(CSR2)
    );
endmodule

module MULT18X18D(
    input A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0,
    input B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0,
    input C17, C16, C15, C14, C13, C12, C11, C10, C9, C8, C7, C6, C5, C4, C3, C2, C1, C0,
    input SIGNEDA, SIGNEDB, SOURCEA, SOURCEB,
    input CLK3, CLK2, CLK1, CLK0, CE3, CE2, CE1, CE0, RST3, RST2, RST1, RST0,
    output P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19,
    P18, P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0,
    output SIGNEDP
);
    parameter REG_INPUTA_CLK = "NONE", REG_INPUTA_CE = "CE0", REG_INPUTA_RST = "RST0";
    parameter REG_INPUTB_CLK = "NONE", REG_INPUTB_CE = "CE0", REG_INPUTB_RST = "RST0";
    parameter REG_INPUTC_CLK = "NONE", REG_INPUTC_CE = "CE0", REG_INPUTC_RST = "RST0";
    parameter REG_PIPELINE_CLK = "NONE", REG_PIPELINE_CE = "CE0", REG_PIPELINE_RST = "RST0";
    parameter REG_OUTPUT_CLK = "NONE", REG_OUTPUT_CE = "CE0", REG_OUTPUT_RST = "RST0";
    parameter CLK0_DIV = "ENABLED", CLK1_DIV = "ENABLED", CLK2_DIV = "ENABLED";
    parameter CLK3_DIV = "ENABLED", HIGHSPEED_CLK = "NONE", GSR = "ENABLED";
    parameter CAS_MATCH_REG = "FALSE", SOURCEB_MODE = "B_SHIFT", MULT_BYPASS = "DISABLED";
    parameter RESETMODE = "SYNC";

    // Registers of both factors or of none, and of the product, all with the first clock, enable and
    // reset.
    localparam HELD = REG_INPUTA_CLK == "CLK0", REGISTER = REG_OUTPUT_CLK == "CLK0";
    generate if ((HELD ? REG_INPUTB_CLK != "CLK0" || !REGISTER
            : REG_INPUTA_CLK != "NONE" || REG_INPUTB_CLK != "NONE")
            || (!REGISTER && REG_OUTPUT_CLK != "NONE")
            || REG_PIPELINE_CLK != "NONE" || RESETMODE != "SYNC" || MULT_BYPASS != "DISABLED"
            || REG_INPUTA_CE != "CE0" || REG_INPUTB_CE != "CE0" || REG_OUTPUT_CE != "CE0"
            || REG_INPUTA_RST != "RST0" || REG_INPUTB_RST != "RST0" || REG_OUTPUT_RST != "RST0")
        mode_that_is_not_modelled refused();
    endgenerate
    wire [17:0] a = {A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1,
    A0};
    wire [17:0] b = {B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1,
    B0};
    reg [17:0] held_a = 0, held_b = 0;
    reg [35:0] held_p = 0;
    wire [17:0] factor_a = HELD ? held_a : a, factor_b = HELD ? held_b : b;
    wire signed [35:0] wide_a = {{18{SIGNEDA & factor_a[17]}}, factor_a};
    wire signed [35:0] wide_b = {{18{SIGNEDB & factor_b[17]}}, factor_b};
    wire [35:0] product = wide_a * wide_b;
    always @(posedge CLK0)
        if (RST0) begin
            held_a <= 0;
            held_b <= 0;
            held_p <= 0;
        end else if (CE0) begin
            held_a <= a;
            held_b <= b;
            held_p <= product;
        end
    assign {P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19,
    P18, P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0} =
    REGISTER ? held_p : product;
    assign SIGNEDP = SIGNEDA | SIGNEDB;
endmodule
