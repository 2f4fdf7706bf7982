package ptx

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/seed-512d3d71/weft/kernels/cuda"
)

// run runs a kernel of one parameter, the address p of 256 bytes that are
// written, in blocks of so many threads.
func run(t *testing.T, d *Device, blocks, threads int, body string) ([]uint32, error) {
	t.Helper()
	m, err := compile([]byte(".version 7.0\n.target sm_80\n.address_size 64\n.extern .shared .align 16 .b8 dynamic[];\n" +
		".visible .entry k(.param .u64 p) {\n" +
		".reg .b32 %r<20>; .reg .f32 %f<20>; .reg .b64 %d<20>; .reg .pred %p<9>; .reg .b16 %h<9>;\n" +
		".shared .align 16 .b8 s[256];\n" +
		"ld.param.u64 %d0, [p]; mov.u32 %r0, %tid.x; mov.u32 %r1, s; shl.b32 %r2, %r0, 2; add.u32 %r2, %r2, %r1;\n" +
		"mad.wide.u32 %d1, %r0, 4, %d0;\n" + body + "\n ret; }"))
	if err != nil {
		return nil, err
	}
	p := d.Alloc(256)
	d.Upload(p, make([]byte, 256))
	args := d.Args().Ptr(p)
	if err := d.start(m, "k", cuda.Dim{X: blocks, Y: 1, Z: 1}, cuda.Dim{X: threads, Y: 1, Z: 1}, 0, args.Buffer()); err != nil {
		return nil, err
	}
	b := make([]byte, 256)
	d.Download(b, p)
	out := make([]uint32, 64)
	for i := range out {
		out[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	return out, d.Err()
}

func TestFaults(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"a register that was not set", "add.u32 %r3, %r4, 1;", "an operand was not set"},
		{"set in other lanes", "setp.lt.u32 %p0, %r0, 3; @%p0 mov.u32 %r3, 1; st.global.u32 [%d1], %r3;", "an operand was not set (lanes fffffff8)"},
		{"a predicate that was not set", "@%p0 mov.u32 %r3, 1;", "the predicate was not set"},
		{"past the end", "st.global.u32 [%d1+160], %r0;", "4 bytes at 256 of an allocation of 256"},
		{"no allocation", "mov.u64 %d2, 64; ld.global.u32 %r3, [%d2];", "lies in no allocation"},
		{"not aligned", "ld.global.v2.u32 {%r3, %r4}, [%d1];", "is not a multiple of 8"},
		{"past the end of shared memory", "st.shared.u32 [%r2+160], %r0;", "of 256 of shared memory"},
		{"shared memory that was not written", "ld.shared.u32 %r3, [%r2];", "nothing was written there"},
		{"a read of what another thread writes", "st.shared.u32 [%r2], %r0; ld.shared.u32 %r3, [%r1];", "what thread"},
		{"a read before the barrier of the block", "st.shared.u32 [%r2], %r0; bar.warp.sync -1; xor.b32 %r3, %r2, 128; bar.sync 0; st.shared.u32 [%r2], %r0; ld.shared.u32 %r4, [%r3];", "what thread"},
		{"two writers", "st.shared.u32 [%r1], %r0;", "threads 0 and 1 write to the same place"},
		{"a write to what is read", "st.shared.u32 [%r2], %r0; bar.sync 0; ld.shared.u32 %r3, [%r1]; st.shared.u32 [%r2], %r0;", "what thread"},
		{"a barrier that not all reach", "setp.lt.u32 %p0, %r0, 3; @%p0 bra L; bar.sync 0; L: mov.u32 %r3, 1;", "are not at the barrier"},
		{"a shuffle that not all reach", "setp.lt.u32 %p0, %r0, 3; @%p0 bra L; shfl.sync.bfly.b32 %r3, %r0, 1, 31, -1; L: mov.u32 %r3, 1;", "take part"},
		{"a lane that is not there", "setp.lt.u32 %p0, %r0, 3; @!%p0 bra L; shfl.sync.bfly.b32 %r3, %r0, 1, 31, 7; L: mov.u32 %r3, 1;", "which is not there"},
		{"copies that are not waited for", "cp.async.ca.shared.global [%r2], [%d1], 4; cp.async.commit_group;", "were not waited for"},
		{"a read before the copies are done", "cp.async.ca.shared.global [%r2], [%d1], 4; cp.async.commit_group; ld.shared.u32 %r3, [%r2]; cp.async.wait_group 0;", "nothing was written there"},
		{"division by 0", "div.u32 %r3, %r0, %r0;", "division by 0"},
		{"for ever", "L: bra L;", "runs for ever"},
		{"an unknown instruction", "frob.u32 %r3;", "is not interpreted"},
		{"an unknown register", "add.u32 %r3, %q4, 1;", "is not declared"},
		{"a register of another size", "add.u32 %r3, %d0, 1;", "is of type b64"},
		{"syntax", "add.u32 %r3, );", "operand"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "for ever" && testing.Short() {
				t.Skip("takes seconds")
			}
			_, err := run(t, NewDevice(80), 1, 64, c.body)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// Threads of a warp part ways and come together again.
func TestDivergence(t *testing.T) {
	out, err := run(t, NewDevice(80), 1, 64, `
		mov.u32 %r3, 0;
		mov.u32 %r4, 0;
	top:
		setp.ge.u32 %p0, %r4, %r0;
		@%p0 bra done;
		and.b32 %r5, %r4, 1;
		setp.eq.u32 %p1, %r5, 0;
		@%p1 bra even;
		add.u32 %r3, %r3, 100;
		bra next;
	even:
		add.u32 %r3, %r3, 1;
	next:
		add.u32 %r4, %r4, 1;
		bra top;
	done:
		shfl.sync.idx.b32 %r6, %r3, 31, 31, -1;
		st.global.u32 [%d1], %r3;
		setp.ne.u32 %p2, %r0, 0;
		@%p2 bra end;
		st.global.u32 [%d1], %r6;
	end:
		mov.u32 %r7, 0;`)
	if err != nil {
		t.Fatal(err)
	}
	for i := range out {
		want := uint32((i+1)/2 + i/2*100)
		if i == 0 {
			want = 16 + 15*100
		}
		if out[i] != want {
			t.Errorf("thread %d has %d, want %d", i, out[i], want)
		}
	}
}

// Threads call a function, some of them, and not all take the same way through.
func TestCalls(t *testing.T) {
	m, err := compile([]byte(`.version 7.0 .target sm_80 .address_size 64
		.func (.reg .b32 y) f(.reg .b32 x, .reg .b32 n) {
			.reg .pred %p<2>; .reg .b32 %r<2>;
			mov.u32 y, n;
			setp.lt.u32 %p0, x, 8;
			@%p0 bra L1;
			ret;
		L1:
			shl.b32 %r0, x, 4;
			add.u32 y, y, %r0;
			ret;
		}
		.visible .entry k(.param .u64 p) {
			.reg .b32 %r<4>; .reg .b64 %d<2>; .reg .pred %p<2>;
			ld.param.u64 %d0, [p]; mov.u32 %r0, %tid.x; mad.wide.u32 %d0, %r0, 4, %d0;
			mov.u32 %r1, 7;
			setp.eq.u32 %p0, %r0, 3;
			@%p0 bra L1;
			call (%r1), f, (%r0, 2);
		L1:
			call (%r2), f, (%r1, %r0);
			st.global.u32 [%d0], %r2;
			ret;
		}`))
	if err != nil {
		t.Fatal(err)
	}
	d := NewDevice(80)
	p := d.Alloc(128)
	if err := d.start(m, "k", cuda.Dim{X: 1, Y: 1, Z: 1}, cuda.Dim{X: 32, Y: 1, Z: 1}, 0, d.Args().Ptr(p).Buffer()); err != nil {
		t.Fatal(err)
	}
	f := func(x, n uint32) uint32 {
		if x < 8 {
			return n + x<<4
		}
		return n
	}
	out := make([]byte, 128)
	d.Download(out, p)
	for i := range uint32(32) {
		x := uint32(7)
		if i != 3 {
			x = f(i, 2)
		}
		if got := binary.LittleEndian.Uint32(out[4*i:]); got != f(x, i) {
			t.Errorf("thread %d has %d, want %d", i, got, f(x, i))
		}
	}
}

// What the instructions compute: %r3 from the lane's number.
func TestInstructions(t *testing.T) {
	f := func(x float32) uint32 { return math.Float32bits(x) }
	for _, c := range []struct {
		body string
		want func(i int32) uint32
	}{
		{"sub.s32 %r4, %r0, 9; shr.s32 %r3, %r4, 1;", func(i int32) uint32 { return uint32((i - 9) >> 1) }},
		{"sub.s32 %r4, %r0, 9; shr.u32 %r3, %r4, 28;", func(i int32) uint32 { return uint32(i-9) >> 28 }},
		{"sub.s32 %r4, %r0, 9; min.u32 %r3, %r4, 5;", func(i int32) uint32 { return min(uint32(i-9), 5) }},
		{"sub.s32 %r4, %r0, 9; max.s32 %r3, %r4, -5;", func(i int32) uint32 { return uint32(max(i-9, -5)) }},
		{"sub.s32 %r4, %r0, 9; div.s32 %r5, %r4, 4; rem.s32 %r6, %r4, 4; mad.lo.s32 %r3, %r5, 100, %r6;",
			func(i int32) uint32 { return uint32((i-9)/4*100 + (i-9)%4) }},
		{"sub.s32 %r4, %r0, 9; mul.wide.s32 %d2, %r4, %r4; shr.u64 %d2, %d2, 1; cvt.u32.u64 %r3, %d2;", func(i int32) uint32 { return uint32((i - 9) * (i - 9) / 2) }},
		{"sub.s32 %r4, %r0, 9; cvt.rn.f32.s32 %f0, %r4; mul.rn.f32 %f0, %f0, 0f3F000000; cvt.rni.s32.f32 %r3, %f0;",
			func(i int32) uint32 { return uint32(int32(math.RoundToEven(float64(i-9) / 2))) }},
		{"cvt.rn.f32.u32 %f0, %r0; fma.rn.f32 %f1, %f0, %f0, 0fBF800000; mov.b32 %r3, %f1;", func(i int32) uint32 { return f(float32(i*i - 1)) }},
		{"cvt.rn.f32.u32 %f0, %r0; sqrt.rn.f32 %f1, %f0; mov.b32 %r3, %f1;", func(i int32) uint32 { return f(float32(math.Sqrt(float64(i)))) }},
		{"cvt.rn.f32.u32 %f0, %r0; max.f32 %f1, %f0, 0f7FC00000; mov.b32 %r3, %f1;", func(i int32) uint32 { return f(float32(i)) }},
		{"cvt.rn.f32.u32 %f0, %r0; setp.ltu.f32 %p0, %f0, 0f7FC00000; selp.u32 %r3, 1, 2, %p0;", func(i int32) uint32 { return 1 }},
		{"shfl.sync.bfly.b32 %r3, %r0, 5, 31, -1;", func(i int32) uint32 { return uint32(i ^ 5) }},
		{"shfl.sync.down.b32 %r3, %r0, 3, 0x1c1f, -1;", func(i int32) uint32 {
			if i%4+3 < 4 {
				return uint32(i + 3)
			}
			return uint32(i)
		}},
		{"shfl.sync.up.b32 %r3, %r0, 2, 0, -1;", func(i int32) uint32 {
			if i >= 2 {
				return uint32(i - 2)
			}
			return uint32(i)
		}},
		{"setp.gt.u32 %p0, %r0, 29; vote.sync.ballot.b32 %r3, %p0, -1;", func(i int32) uint32 { return 3 << 30 }},
		{"mov.b32 {%h0, %h1}, %r0; mov.b32 %r3, {%h1, %h0};", func(i int32) uint32 { return uint32(i) << 16 }},
		{"prmt.b32 %r3, %r0, 0x55667788, 0x4057;", func(i int32) uint32 { return 0x88<<24 | uint32(i)<<16 | 0x77<<8 | 0x55 }},
		{"mov.u32 %r4, 0xff02fe01; mov.u32 %r5, 0x80017f02; dp4a.u32.s32 %r3, %r4, %r5, %r0;", func(i int32) uint32 { return uint32(1*2 + 254*127 + 2*1 - 255*128 + i) }},
	} {
		out, err := run(t, NewDevice(80), 1, 32, c.body+" st.global.u32 [%d1], %r3;")
		if err != nil {
			t.Errorf("%s: %v", c.body, err)
			continue
		}
		for i := range int32(32) {
			if want := c.want(i); out[i] != want {
				t.Errorf("%s: lane %d has %#x, want %#x", c.body, i, out[i], want)
				break
			}
		}
	}
}

func TestHalves(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		if x := fromF16(h); x == x && toF16(x) != h {
			t.Fatalf("%#x is %v is %#x", h, x, toF16(x))
		}
		if x := f32(uint32(h) << 16); x == x && toBF16(x) != h {
			t.Fatalf("%#x is %v is %#x", h, x, toBF16(x))
		}
	}
	for _, c := range []struct {
		x    float32
		want uint16
	}{{65519, 0x7bff}, {65520, 0x7c00}, {0x1p-25, 0}, {0x1.8p-25, 1}, {-0x1p-14, 0x8400}, {1 + 0x1p-11, 0x3c00}, {1 + 0x1.8p-11, 0x3c01}} {
		if got := toF16(c.x); got != c.want {
			t.Errorf("%v is %#x, want %#x", c.x, got, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	src, err := cuda.PTX("rows_sm75")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(src[:4000])
	f.Add([]byte(".version 7.0 .target sm_80 .address_size 64 .visible .entry k(.param .u64 p) .reqntid 32 { .reg .b32 %r<2>; @!%p0 mov.b32 {%r0, %r1}, [%r1+4]; }"))
	f.Fuzz(func(t *testing.T, src []byte) {
		if m, err := compile(src); err == nil {
			for name := range m.entries {
				_, _ = m.entry(name)
			}
		}
	})
}

func BenchmarkFMA(b *testing.B) {
	m, err := compile([]byte(".version 7.0 .target sm_80 .address_size 64 .visible .entry k(.param .u64 p) { .reg .f32 %f<3>; .reg .b32 %r<2>; .reg .pred %p<1>;" +
		"mov.f32 %f0, 0f3F800000; mov.f32 %f1, 0f3F800000; mov.u32 %r0, 0; L: fma.rn.f32 %f0, %f1, %f1, %f0; add.u32 %r0, %r0, 1; setp.lt.u32 %p0, %r0, 10000; @%p0 bra L; }"))
	if err != nil {
		b.Fatal(err)
	}
	d := NewDevice(80)
	for b.Loop() {
		if err := d.start(m, "k", cuda.Dim{X: 1, Y: 1, Z: 1}, cuda.Dim{X: 256, Y: 1, Z: 1}, 0, make([]byte, 8)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(d.Steps)/1e6/b.Elapsed().Seconds(), "Minstr/s")
}
