package main

import (
	"fmt"
	"slices"
)

// The numbers that registers may get. R16 and R17 belong to the linker, R18 to
// the system, R27 to the assembler, R28 … R30 to Go.
var (
	gpNumbers = []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 19, 20, 21, 22, 23, 24, 25, 26}
	vNumbers  = func() (list []int) {
		for i := range 32 {
			list = append(list, i)
		}
		return list
	}()
)

// set is a set of registers by id.
type set []uint64

func (s set) has(i int) bool { return s[i/64]>>(i%64)&1 != 0 }
func (s set) add(i int)      { s[i/64] |= 1 << (i % 64) }
func (s set) drop(i int)     { s[i/64] &^= 1 << (i % 64) }

// or adds t and reports whether that changed s.
func (s set) or(t set) bool {
	changed := false
	for i := range s {
		n := s[i] | t[i]
		changed = changed || n != s[i]
		s[i] = n
	}
	return changed
}

// alloc numbers the registers by colouring the graph of those that live at the
// same time (Chaitin 1982). Nothing is spilled: a function that needs more
// registers than there are is an error of its generator.
func (f *fn) alloc() {
	near := f.interference()
	degree := func(r *reg, gone set) (n int) {
		for _, o := range near[r.id] {
			if !gone.has(o.id) {
				n++
			}
		}
		return n
	}
	words := (len(f.regs) + 63) / 64
	gone := make(set, words)
	var left, stack []*reg
	for _, r := range f.regs {
		if !r.fixed {
			left = append(left, r)
		}
	}
	for len(left) > 0 {
		// The one with the fewest neighbours left is the easiest to colour last.
		best, least := 0, 1<<30
		for i, r := range left {
			if d := degree(r, gone); d < least {
				best, least = i, d
			}
		}
		stack = append(stack, left[best])
		gone.add(left[best].id)
		left = slices.Delete(left, best, best+1)
	}
	for _, r := range f.regs {
		for _, o := range near[r.id] {
			if r.fixed && o.fixed && r.num == o.num {
				panic(fmt.Sprintf("%s: two values in V%d", f.name, r.num))
			}
		}
	}
	for _, r := range slices.Backward(stack) {
		numbers := gpNumbers
		if r.vec {
			numbers = vNumbers
		}
		for _, n := range numbers {
			if !slices.ContainsFunc(near[r.id], func(o *reg) bool { return o.num == n }) {
				r.num = n
				break
			}
		}
		if r.num < 0 {
			panic(fmt.Sprintf("%s: too few registers (vector: %v)", f.name, r.vec))
		}
	}
}

// interference returns the neighbours of each register: those that hold a
// value that is still needed while it gets one.
func (f *fn) interference() [][]*reg {
	at := map[string]int{}
	for i, in := range f.insns {
		if in.label != "" {
			if _, ok := at[in.label]; ok {
				panic(f.name + ": two labels " + in.label)
			}
			at[in.label] = i
		}
	}
	words := (len(f.regs) + 63) / 64
	in := make([]set, len(f.insns)+1) // live before each instruction
	for i := range in {
		in[i] = make(set, words)
	}
	after := func(i int) set {
		s := make(set, words)
		if !f.insns[i].end {
			s.or(in[i+1])
		}
		if to := f.insns[i].to; to != "" {
			j, ok := at[to]
			if !ok {
				panic(f.name + ": no label " + to)
			}
			s.or(in[j])
		}
		return s
	}
	for changed := true; changed; {
		changed = false
		for i := len(f.insns) - 1; i >= 0; i-- {
			s := after(i)
			for _, r := range f.insns[i].def {
				s.drop(r.id)
			}
			for _, r := range f.insns[i].use {
				s.add(r.id)
			}
			if in[i].or(s) {
				changed = true
			}
		}
	}
	for _, r := range f.regs {
		if in[0].has(r.id) {
			panic(fmt.Sprintf("%s: register %d is read before it is written", f.name, r.id))
		}
	}
	edges := make([]set, len(f.regs))
	for i := range edges {
		edges[i] = make(set, words)
	}
	for i, ins := range f.insns {
		live := after(i)
		for _, d := range ins.def {
			live.add(d.id)
		}
		for _, d := range ins.def {
			for _, r := range f.regs {
				if r != d && r.vec == d.vec && live.has(r.id) {
					edges[d.id].add(r.id)
					edges[r.id].add(d.id)
				}
			}
		}
	}
	near := make([][]*reg, len(f.regs))
	for i := range near {
		for _, r := range f.regs {
			if edges[i].has(r.id) {
				near[i] = append(near[i], r)
			}
		}
	}
	return near
}
