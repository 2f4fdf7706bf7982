package main

// dtype is the type of elements in memory. Arithmetic is in float32.
type dtype string

var dtypes = []dtype{"f32", "bf16", "f16"}

func (t dtype) size() int {
	if t == "f32" {
		return 4
	}
	return 2
}

// fromBits turns the 16 bits of an element into a float.
func (t dtype) fromBits(h val) val {
	if t == "f16" {
		d := reg(f32)
		emit("cvt.f32.f16", d, h)
		return d
	}
	d := reg(f32)
	emit("mov.b32", d, []val{{"0", b16}, h})
	return d
}

// get reads n elements, 1, 2 or 4, that lie at a multiple of their size.
func (t dtype) get(space, addr string, n int) []val {
	if t == "f32" {
		return load(space, f32, n, addr)
	}
	var list []val
	for _, h := range load(space, b16, n, addr) {
		list = append(list, t.fromBits(h))
	}
	return list
}

// ampere says that the module's target has conversions to bfloat16.
var ampere bool

// round turns a float into the 16 bits of an element, to nearest even.
func (t dtype) round(x val) val {
	d := reg(b16)
	if t == "f16" {
		emit("cvt.rn.f16.f32", d, x)
		return d
	}
	if ampere {
		emit("cvt.rn.bf16.f32", d, x)
		return d
	}
	b := reg(u32)
	emit("mov.b32", b, x)
	even := and(shr(b, i32(16)), i32(1))
	b = add(add(b, hex(0x7fff)), even)
	b = choose(compare("nan", x, x), hex(0x7fff0000), b)
	b = shr(b, i32(16))
	emit("cvt.u16.u32", d, b)
	return d
}

// put stores 1, 2 or 4 floats.
func (t dtype) put(space, addr string, x ...val) {
	if t == "f32" {
		store(space, f32, addr, x...)
		return
	}
	list := make([]val, len(x))
	for i, v := range x {
		list[i] = t.round(v)
	}
	store(space, b16, addr, list...)
}

// get16 reads 16 bytes of elements.
func (t dtype) get16(space, addr string) []val {
	if t == "f32" {
		return load(space, f32, 4, addr)
	}
	var list []val
	for _, w := range load(space, b32, 4, addr) {
		list = append(list, t.pair(w)...)
	}
	return list
}

// pair turns two elements in 32 bits into floats.
func (t dtype) pair(w val) []val {
	if t == "f16" {
		lo, hi := reg(b16), reg(b16)
		emit("mov.b32", []val{lo, hi}, w)
		return []val{t.fromBits(lo), t.fromBits(hi)}
	}
	lo, hi := reg(f32), reg(f32)
	emit("mov.b32", lo, shl(w, i32(16)))
	emit("mov.b32", hi, and(w, hex(0xffff0000)))
	return []val{lo, hi}
}
