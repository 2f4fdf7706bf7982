package main

import "testing"

// TestAlloc: no two values that are needed at the same time share a register,
// in any kernel, and no fixed or reserved one is taken.
func TestAlloc(t *testing.T) {
	for stem := range files {
		f := generate(stem)
		f.assembly()
		for _, fn := range f.funcs {
			for i, near := range fn.interference() {
				for _, r := range near {
					if r.num == fn.regs[i].num {
						t.Errorf("%s: two values in %s", fn.name, r.x())
					}
				}
			}
			for _, r := range fn.regs {
				if !r.vec && (r.num >= 16 && r.num <= 18 || r.num > 26) {
					t.Errorf("%s: %s is not ours", fn.name, r.x())
				}
			}
		}
	}
}

func TestAllocRefuses(t *testing.T) {
	for name, body := range map[string]func(){
		"a value that was never written": func() { add(cur.gp(), cur.gp(), cur.gp()) },
		"33 values at a time": func() {
			sum := cur.v()
			zero(sum)
			for _, x := range simd(32).zero() {
				fadd(sum, sum, x)
			}
		},
		"a jump to nowhere": func() { branch("B", "nowhere") },
		"a label twice":     func() { mark("here"); mark("here") },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f := &file{stem: "test"}
			f.text("Test", "n int", "", "is a test.")
			body()
			ret()
			f.assembly()
		})
	}
}
