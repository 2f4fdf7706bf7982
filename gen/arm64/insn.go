package main

import "fmt"

// The instructions that the generators use. Vectors are four float32 or int32
// lanes unless the name says otherwise. What Go's assembler has is written in
// its syntax; the rest is encoded here (Arm ARM, C4.1) and checked against a
// real assembler by the test beside this file.

// Integers and branches.

func arg(name string) *reg {
	r, p := cur.gp(), cur.param(name)
	load := map[string]string{"bool": "MOVBU"}[p.typ]
	if load == "" {
		load = "MOVD"
	}
	cur.op(load+"\t"+p.ref()+", %s", []*reg{r}, nil, r)
	return r
}

// strideArg is a stride parameter in bytes.
func strideArg(name string) *reg {
	r := arg(name)
	lsl(r, r, 2)
	return r
}

// scalar is a float32 parameter in every lane.
func scalar(name string) *reg {
	r, p := cur.v(), cur.param(name)
	cur.emit(insn{def: []*reg{r}, text: func() string { return "FMOVS\t" + p.ref() + ", " + r.f() }})
	dup(r, r, 0)
	return r
}

func result(r *reg) {
	p := cur.param("ret")
	store := "MOVD"
	if p.typ == "bool" {
		store = "MOVB"
	}
	cur.op(store+"\t%s, "+p.ref(), nil, []*reg{r}, r)
}

func one(r *reg) []*reg        { return []*reg{r} }
func two(a, b *reg) []*reg     { return []*reg{a, b} }
func mov(d, n *reg)            { cur.op("MOVD\t%s, %s", one(d), one(n), n, d) }
func movI(d *reg, c int)       { cur.op(fmt.Sprintf("MOVD\t$%d, %%s", c), one(d), nil, d) }
func add(d, n, m *reg)         { cur.op("ADD\t%s, %s, %s", one(d), two(n, m), m, n, d) }
func addI(d, n *reg, c int)    { cur.op(fmt.Sprintf("ADD\t$%d, %%s, %%s", c), one(d), one(n), n, d) }
func sub(d, n, m *reg)         { cur.op("SUB\t%s, %s, %s", one(d), two(n, m), m, n, d) }
func subI(d, n *reg, c int)    { cur.op(fmt.Sprintf("SUB\t$%d, %%s, %%s", c), one(d), one(n), n, d) }
func subsI(d, n *reg, c int)   { cur.op(fmt.Sprintf("SUBS\t$%d, %%s, %%s", c), one(d), one(n), n, d) }
func eorI(d, n *reg, c int)    { cur.op(fmt.Sprintf("EOR\t$%d, %%s, %%s", c), one(d), one(n), n, d) }
func lsl(d, n *reg, c int)     { cur.op(fmt.Sprintf("LSL\t$%d, %%s, %%s", c), one(d), one(n), n, d) }
func cmp(n, m *reg)            { cur.op("CMP\t%s, %s", nil, two(n, m), m, n) }
func cmpI(n *reg, c int)       { cur.op(fmt.Sprintf("CMP\t$%d, %%s", c), nil, one(n), n) }
func mark(label string)        { cur.mark(label) }
func newLabel(s string) string { return cur.newLabel(s) }

// addLSL is d = n + m<<c.
func addLSL(d, n, m *reg, c int) {
	cur.op(fmt.Sprintf("ADD\t%%s<<%d, %%s, %%s", c), one(d), two(n, m), m, n, d)
}

// sel is d = n if the condition holds, else m.
func sel(cond string, d, n, m *reg) {
	cur.op("CSEL\t"+cond+", %s, %s, %s", one(d), two(n, m), n, m, d)
}

// branch jumps on a condition (BEQ, BLT, …), or always (B).
func branch(cond, label string) {
	cur.emit(insn{text: func() string { return cond + "\t" + label }, to: label, end: cond == "B"})
}

// branchZ jumps if r is 0, or (CBNZ) is not.
func branchZ(op string, r *reg, label string) {
	cur.emit(insn{text: func() string { return op + "\t" + r.x() + ", " + label }, use: one(r), to: label})
}

func ret() { cur.emit(insn{text: func() string { return "RET" }, end: true}) }

// Loads and stores.

func load(op string, d, base *reg, disp int) {
	cur.emit(insn{def: one(d), use: one(base), text: func() string { return fmt.Sprintf("%s\t%d(%s), %s", op, disp, base.x(), d.f()) }})
}

func store(op string, s, base *reg, disp int) {
	cur.emit(insn{use: two(s, base), text: func() string { return fmt.Sprintf("%s\t%s, %d(%s)", op, s.f(), disp, base.x()) }})
}

func ldrQ(d, base *reg, disp int) { load("FMOVQ", d, base, disp) }
func strQ(s, base *reg, disp int) { store("FMOVQ", s, base, disp) }
func ldrD(d, base *reg, disp int) { load("FMOVD", d, base, disp) }
func ldrS(d, base *reg, disp int) { load("FMOVS", d, base, disp) } // the other lanes are 0
func strS(s, base *reg, disp int) { store("FMOVS", s, base, disp) }

// ldrQP is ldrQ that moves base on by 16, ldrSP ldrS by 4.
func ldrQP(d, base *reg) { post("FMOVQ.P\t16(%s), %s", d, base) }
func ldrSP(d, base *reg) { post("FMOVS.P\t4(%s), %s", d, base) }

func post(format string, d, base *reg) {
	cur.emit(insn{def: two(d, base), use: one(base), text: func() string { return fmt.Sprintf(format, base.x(), d.f()) }})
}

// ldrQX loads from base + offset.
func ldrQX(d, base, offset *reg) {
	cur.emit(insn{def: one(d), use: two(base, offset),
		word: func() uint32 { return 0x3ce06800 | uint32(offset.num)<<16 | uint32(base.num)<<5 | uint32(d.num) },
		text: func() string { return fmt.Sprintf("ldr q%d, [x%d, x%d]", d.num, base.num, offset.num) }})
}

// ldpQ loads two registers.
func ldpQ(d, e, base *reg, disp int) {
	cur.emit(insn{def: two(d, e), use: one(base), text: func() string { return fmt.Sprintf("FLDPQ\t%d(%s), (%s, %s)", disp, base.x(), d.f(), e.f()) }})
}

func stpQ(s, t, base *reg, disp int) {
	cur.emit(insn{use: []*reg{s, t, base}, text: func() string { return fmt.Sprintf("FSTPQ\t(%s, %s), %d(%s)", s.f(), t.f(), disp, base.x()) }})
}

// copyWord copies 4 bytes and moves both addresses on.
func copyWord(to, from *reg) {
	w := cur.gp()
	cur.op("MOVWU.P\t4(%s), %s", two(w, from), one(from), from, w)
	cur.op("MOVW.P\t%s, 4(%s)", one(to), two(w, to), w, to)
}

// prefetch brings a line to cache level 1 or 2.
func prefetch(level int, base *reg, disp int) {
	cur.op(fmt.Sprintf("PRFM\t%d(%%s), PLDL%dKEEP", disp, level), nil, one(base), base)
}

// constant loads words into a register: four, or one for all lanes.
func constant(words ...uint32) *reg {
	if len(words) == 1 {
		words = []uint32{words[0], words[0], words[0], words[0]}
	}
	d := cur.v()
	ldrQ(d, cur.table, cur.file.constant(words...))
	return d
}

// Vectors, by Go's assembler.

func goVVV(op, arr string, d, n, m *reg, also ...*reg) {
	cur.op(op+"\t%s."+arr+", %s."+arr+", %s."+arr, one(d), append(two(n, m), also...), m, n, d)
}

func zero(d *reg)         { cur.op("VEOR\t%s.B16, %s.B16, %s.B16", one(d), nil, d, d, d) }
func movV(d, n *reg)      { cur.op("VMOV\t%s.B16, %s.B16", one(d), one(n), n, d) }
func fmla(d, n, m *reg)   { goVVV("VFMLA", "S4", d, n, m, d) } // d += n·m
func fmls(d, n, m *reg)   { goVVV("VFMLS", "S4", d, n, m, d) } // d -= n·m
func and(d, n, m *reg)    { goVVV("VAND", "B16", d, n, m) }
func or(d, n, m *reg)     { goVVV("VORR", "B16", d, n, m) }
func addInt(d, n, m *reg) { goVVV("VADD", "S4", d, n, m) }
func subInt(d, n, m *reg) { goVVV("VSUB", "S4", d, n, m) }
func bsl(d, n, m *reg)    { goVVV("VBSL", "B16", d, n, m, d) } // d = n where d is set, else m
func bit(d, n, m *reg)    { goVVV("VBIT", "B16", d, n, m, d) } // d = n where m is set
func zip1(d, n, m *reg)   { goVVV("VZIP1", "S4", d, n, m) }
func zip2(d, n, m *reg)   { goVVV("VZIP2", "S4", d, n, m) }
func zip1D(d, n, m *reg)  { goVVV("VZIP1", "D2", d, n, m) }
func zip2D(d, n, m *reg)  { goVVV("VZIP2", "D2", d, n, m) }

func dup(d, n *reg, lane int) {
	cur.op(fmt.Sprintf("VDUP\t%%s.S[%d], %%s.S4", lane), one(d), one(n), n, d)
}

func shl(d, n *reg, c int) { cur.op(fmt.Sprintf("VSHL\t$%d, %%s.S4, %%s.S4", c), one(d), one(n), n, d) }
func ushr(d, n *reg, c int) {
	cur.op(fmt.Sprintf("VUSHR\t$%d, %%s.S4, %%s.S4", c), one(d), one(n), n, d)
}

// ext is bytes c … c+15 of n followed by m.
func ext(d, n, m *reg, c int) {
	cur.op(fmt.Sprintf("VEXT\t$%d, %%s.B16, %%s.B16, %%s.B16", c), one(d), two(n, m), m, n, d)
}

// tbl2 looks the bytes of index up in t and the register after it.
func tbl2(d, t0, t1, index *reg) {
	cur.op("VTBL\t%s.B16, [%s.B16, %s.B16], %s.B16", one(d), []*reg{t0, t1, index}, index, t0, t1, d)
}

// word0 moves lane 0 to an integer register.
func word0(d, n *reg) { cur.op("VMOV\t%s.S[0], %s", one(d), one(n), n, d) }

// Vectors, encoded here.

// vvv is an instruction on three vectors; also are further registers it reads.
func vvv(code uint32, name, arr string, d, n, m *reg, also ...*reg) {
	cur.emit(insn{def: one(d), use: append(two(n, m), also...),
		word: func() uint32 { return code | uint32(m.num)<<16 | uint32(n.num)<<5 | uint32(d.num) },
		text: func() string {
			return fmt.Sprintf("%s v%d.%[3]s, v%[4]d.%[3]s, v%[5]d.%[3]s", name, d.num, arr, n.num, m.num)
		}})
}

// vv is an instruction on two vectors, and on d if that is also read.
func vv(code uint32, name, to, from, tail string, d, n *reg, also ...*reg) {
	cur.emit(insn{def: one(d), use: append(one(n), also...),
		word: func() uint32 { return code | uint32(n.num)<<5 | uint32(d.num) },
		text: func() string { return fmt.Sprintf("%s v%d.%s, v%d.%s%s", name, d.num, to, n.num, from, tail) }})
}

func fadd(d, n, m *reg)   { vvv(0x4e20d400, "fadd", "4s", d, n, m) }
func fsub(d, n, m *reg)   { vvv(0x4ea0d400, "fsub", "4s", d, n, m) }
func fmul(d, n, m *reg)   { vvv(0x6e20dc00, "fmul", "4s", d, n, m) }
func fdiv(d, n, m *reg)   { vvv(0x6e20fc00, "fdiv", "4s", d, n, m) }
func fcmgt(d, n, m *reg)  { vvv(0x6ea0e400, "fcmgt", "4s", d, n, m) }
func fcmge(d, n, m *reg)  { vvv(0x6e20e400, "fcmge", "4s", d, n, m) }
func fcmeq(d, n, m *reg)  { vvv(0x4e20e400, "fcmeq", "4s", d, n, m) }
func mulInt(d, n, m *reg) { vvv(0x4ea09c00, "mul", "4s", d, n, m) }
func orn(d, n, m *reg)    { vvv(0x4ee01c00, "orn", "16b", d, n, m) } // n or not m
func bic(d, n, m *reg)    { vvv(0x4e601c00, "bic", "16b", d, n, m) } // n and not m
func fsqrt(d, n *reg)     { vv(0x6ea1f800, "fsqrt", "4s", "4s", "", d, n) }
func fneg(d, n *reg)      { vv(0x6ea0f800, "fneg", "4s", "4s", "", d, n) }
func fabs(d, n *reg)      { vv(0x4ea0f800, "fabs", "4s", "4s", "", d, n) }
func negative(d, n *reg)  { vv(0x4ea0a800, "cmlt", "4s", "4s", ", #0", d, n) } // all ones where the sign is set

func sshr(d, n *reg, c int) {
	vv(0x4f000400|uint32(64-c)<<16, "sshr", "4s", "4s", fmt.Sprintf(", #%d", c), d, n)
}

// fmlaE is d += n·m[lane].
func fmlaE(d, n, m *reg, lane int) {
	byElement(0x4f801000|uint32(lane&1)<<21|uint32(lane>>1)<<11, "fmla", "4s", "4s", "s", d, n, m, lane)
}

// minAll and maxAll put the least and the largest unsigned word into lane 0.
func minAll(d, n *reg) { across(0x6eb1a800, "uminv", d, n) }
func maxAll(d, n *reg) { across(0x6eb0a800, "umaxv", d, n) }

func across(code uint32, name string, d, n *reg) {
	cur.emit(insn{def: one(d), use: one(n),
		word: func() uint32 { return code | uint32(n.num)<<5 | uint32(d.num) },
		text: func() string { return fmt.Sprintf("%s s%d, v%d.4s", name, d.num, n.num) }})
}

// Conversions: of the low half of a register, and (2) of the high half.

func halfToFloat(d, n *reg)    { vv(0x0e217800, "fcvtl", "4s", "4h", "", d, n) }
func halfToFloat2(d, n *reg)   { vv(0x4e217800, "fcvtl2", "4s", "8h", "", d, n) }
func floatToHalf(d, n *reg)    { vv(0x0e216800, "fcvtn", "4h", "4s", "", d, n) }
func floatToHalf2(d, n *reg)   { vv(0x4e216800, "fcvtn2", "8h", "4s", "", d, n, d) }
func floatToDouble(d, n *reg)  { vv(0x0e617800, "fcvtl", "2d", "2s", "", d, n) }
func floatToDouble2(d, n *reg) { vv(0x4e617800, "fcvtl2", "2d", "4s", "", d, n) }
func doubleToFloat(d, n *reg)  { vv(0x0e616800, "fcvtn", "2s", "2d", "", d, n) }
func doubleToFloat2(d, n *reg) { vv(0x4e616800, "fcvtn2", "4s", "2d", "", d, n, d) }
func upper(d, n *reg)          { vv(0x2e613800, "shll", "4s", "4h", ", #16", d, n) } // uint16 to the upper half
func upper2(d, n *reg)         { vv(0x6e613800, "shll2", "4s", "8h", ", #16", d, n) }
func upperHalf(d, n *reg)      { vv(0x0f108400, "shrn", "4h", "4s", ", #16", d, n) }
func upperHalf2(d, n *reg)     { vv(0x4f108400, "shrn2", "8h", "4s", ", #16", d, n, d) }

// Integers: products of bytes (the dot products need Armv8.2's) and what goes
// with them.

func eor(d, n, m *reg)    { goVVV("VEOR", "B16", d, n, m) }
func smax(d, n, m *reg)   { vvv(0x4ea06400, "smax", "4s", d, n, m) }
func smin(d, n, m *reg)   { vvv(0x4ea06c00, "smin", "4s", d, n, m) }
func mlaInt(d, n, m *reg) { vvv(0x4ea09400, "mla", "4s", d, n, m, d) } // d += n·m
func uzp1B(d, n, m *reg)  { goVVV("VUZP1", "B16", d, n, m) }
func uzp2B(d, n, m *reg)  { goVVV("VUZP2", "B16", d, n, m) }
func toInt(d, n *reg)     { vv(0x4e21a800, "fcvtns", "4s", "4s", "", d, n) } // to nearest even
func toFloat(d, n *reg)   { vv(0x4e21d800, "scvtf", "4s", "4s", "", d, n) }
func toHalves(d, n *reg)  { vv(0x0e612800, "xtn", "4h", "4s", "", d, n) }
func toHalves2(d, n *reg) { vv(0x4e612800, "xtn2", "8h", "4s", "", d, n, d) }
func toBytes(d, n *reg)   { vv(0x0e212800, "xtn", "8b", "8h", "", d, n) }
func toBytes2(d, n *reg)  { vv(0x4e212800, "xtn2", "16b", "8h", "", d, n, d) }
func fromS8(d, n *reg)    { vv(0x0f08a400, "sxtl", "8h", "8b", "", d, n) }
func fromS82(d, n *reg)   { vv(0x4f08a400, "sxtl2", "8h", "16b", "", d, n) }
func fromU8(d, n *reg)    { vv(0x2f08a400, "uxtl", "8h", "8b", "", d, n) }
func fromU82(d, n *reg)   { vv(0x6f08a400, "uxtl2", "8h", "16b", "", d, n) }

func cmgt(d, n, m *reg)     { vvv(0x4ea03400, "cmgt", "4s", d, n, m) }
func addPairs(d, n, m *reg) { vvv(0x4ea0bc00, "addp", "4s", d, n, m) }
func addPairs16(d, n *reg)  { vv(0x4e602800, "saddlp", "4s", "8h", "", d, n) } // to words
func ushrB(d, n *reg, c int) {
	cur.op(fmt.Sprintf("VUSHR\t$%d, %%s.B16, %%s.B16", c), one(d), one(n), n, d)
}

// tbl looks the bytes of index up in t; beyond it they are 0.
func tbl(d, t, index *reg) {
	cur.op("VTBL\t%s.B16, [%s.B16], %s.B16", one(d), two(t, index), index, t, d)
}

// smlalB is d += the products of n's and m's low eight bytes, smlalB2 of the
// high ones, in 16 bits; smullB and smullB2 are d = them.
func smlalB(d, n, m *reg)  { products(0x0e208000, "smlal", "8b", d, n, m, d) }
func smlalB2(d, n, m *reg) { products(0x4e208000, "smlal2", "16b", d, n, m, d) }
func smullB(d, n, m *reg)  { products(0x0e20c000, "smull", "8b", d, n, m) }
func smullB2(d, n, m *reg) { products(0x4e20c000, "smull2", "16b", d, n, m) }

func products(code uint32, name, from string, d, n, m *reg, also ...*reg) {
	cur.emit(insn{def: one(d), use: append(two(n, m), also...),
		word: func() uint32 { return code | uint32(m.num)<<16 | uint32(n.num)<<5 | uint32(d.num) },
		text: func() string {
			return fmt.Sprintf("%s v%d.8h, v%d.%[4]s, v%[5]d.%[4]s", name, d.num, n.num, from, m.num)
		}})
}

// sdotE is d += the sums of n's products of four bytes with bytes 4·lane … of m.
func sdotE(d, n, m *reg, lane int) {
	byElement(0x4f80e000|uint32(lane&1)<<21|uint32(lane>>1)<<11, "sdot", "4s", "16b", "4b", d, n, m, lane)
}

// usmmla is d += the 2×2 products of n's 2 rows of 8 unsigned bytes with m's of
// signed ones.
func usmmla(d, n, m *reg) {
	cur.emit(insn{def: one(d), use: []*reg{d, n, m},
		word: func() uint32 { return 0x4e80ac00 | uint32(m.num)<<16 | uint32(n.num)<<5 | uint32(d.num) },
		text: func() string { return fmt.Sprintf("usmmla v%d.4s, v%d.16b, v%d.16b", d.num, n.num, m.num) }})
}

// bfmmla is d += the 2×2 products of n's 2 rows of 4 bfloat16 with m's.
func bfmmla(d, n, m *reg) {
	cur.emit(insn{def: one(d), use: []*reg{d, n, m},
		word: func() uint32 { return 0x6e40ec00 | uint32(m.num)<<16 | uint32(n.num)<<5 | uint32(d.num) },
		text: func() string { return fmt.Sprintf("bfmmla v%d.4s, v%d.8h, v%d.8h", d.num, n.num, m.num) }})
}

// smlalE is d += n's low (or high) four halves times m[lane], m one of V0 … V15.
func smlalE(d, n, m *reg, lane int, high bool) {
	code, name, from := 0x0f402000|uint32(lane&1)<<20|uint32(lane>>1&1)<<21|uint32(lane>>2)<<11, "smlal", "4h"
	if high {
		code, name, from = code|1<<30, "smlal2", "8h"
	}
	if !m.fixed || m.num > 15 {
		panic("smlal takes its element from V0 … V15")
	}
	byElement(code, name, "4s", from, "h", d, n, m, lane)
}

func byElement(code uint32, name, to, from, elem string, d, n, m *reg, lane int) {
	cur.emit(insn{def: one(d), use: []*reg{d, n, m},
		word: func() uint32 { return code | uint32(m.num)<<16 | uint32(n.num)<<5 | uint32(d.num) },
		text: func() string {
			return fmt.Sprintf("%s v%d.%s, v%d.%s, v%d.%s[%d]", name, d.num, to, n.num, from, m.num, elem, lane)
		}})
}
