package weft_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-512d3d71/weft"
	"github.com/seed-512d3d71/weft/internal/golden"
	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/tensor"
)

var updateBits = flag.Bool("update-bits", false, "write testdata/golden/bits.json anew")

// TestBits holds the promise of the README: what a whole model computes has
// the same bits on every instruction set and for any number of threads. The
// hashes in testdata/golden/bits.json are those of every machine.
func TestBits(t *testing.T) {
	path := filepath.Join("testdata", "golden", "bits.json")
	want := map[string]string{}
	if b, err := os.ReadFile(path); err != nil && !*updateBits {
		t.Fatal(err)
	} else if err == nil && json.Unmarshal(b, &want) != nil {
		t.Fatalf("%s: not an object of hashes", path)
	}
	got := map[string]string{}
	dirs, err := filepath.Glob("testdata/golden/*/config.json")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no golden folders (%v)", err)
	}
	threads := []int{1, 2, 3, 8}
	if testing.Short() {
		threads = []int{3}
	}
	isas := kernels.ISAs()
	for _, isa := range isas {
		t.Run(isa, func(t *testing.T) {
			kernels.Use(t, isa)
			for _, dir := range dirs {
				name := filepath.Base(filepath.Dir(dir))
				c := golden.Open(t, filepath.Dir(dir))
				for _, n := range threads {
					h, err := hashOf(t, c, n)
					if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					if got[name] == "" {
						got[name] = h
					}
					if got[name] != h {
						t.Errorf("%s: other bits with %s and %d threads than with %s and %d", name, isa, n, isas[0], threads[0])
					}
				}
			}
		})
	}
	if *updateBits {
		b, err := json.MarshalIndent(got, "", "\t")
		if err == nil {
			err = os.WriteFile(path, append(b, '\n'), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	for name, h := range got {
		if want[name] != h {
			t.Errorf("%s: the outputs hash to %s, on other machines to %q", name, h, want[name])
		}
	}
}

// hashOf runs a golden folder and returns the hash of all its outputs.
func hashOf(t *testing.T, c *golden.Case, threads int) (string, error) {
	m, err := weft.Open(c.Dir, weft.WithThreads(threads), weft.WithClass(c.Class))
	if err != nil {
		return "", err
	}
	defer m.Close()
	out, err := m.Run(t.Context(), c.Inputs, weft.RunOptions{Set: c.Set, HiddenStates: true})
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	for _, o := range out {
		fmt.Fprintln(&b, o.Name, o.Shape())
		switch o.DType() {
		case tensor.F32:
			for _, v := range o.F32() {
				b.Write(binary.LittleEndian.AppendUint32(nil, math.Float32bits(v)))
			}
		case tensor.I64:
			for _, v := range o.I64() {
				b.Write(binary.LittleEndian.AppendUint64(nil, uint64(v)))
			}
		}
	}
	sum := sha256.Sum256(b.Bytes())
	return hex.EncodeToString(sum[:8]), nil
}
