package kernels

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/klauspost/cpuid/v2"
)

// The instruction sets, best first on each architecture: each includes those
// after it. ISARef is the exact Go of kernels/ref.
const (
	ISAAVX512VNNI = "avx512vnni" // AVX-512 with products of bytes
	ISAAVX512     = "avx512"
	ISAAVXVNNI    = "avxvnni" // AVX2 with products of bytes
	ISAAVX2       = "avx2"

	ISANEONI8MM = "neoni8mm" // NEON with products of matrices of bytes
	ISANEONDot  = "neondot"  // NEON with dot products of bytes
	ISANEON     = "neon"     // of Armv8.0

	ISARef = "ref"
)

// instructionSet is a set of rows: those that the CPU features in needs suffice
// for. An array isas for each architecture lists those of the build, best first.
type instructionSet struct {
	name  string
	needs []cpuid.FeatureID
}

// rank is the place of an instruction set among those of this build.
func rank(isa string) int {
	return slices.IndexFunc(isas, func(s instructionSet) bool { return s.name == isa })
}

// row is one implementation of an operation. T is what the operation's facade
// needs to run it: a function, or a struct of functions and block sizes.
type row[T any] struct {
	name string // of the function
	isa  string
	// needs are CPU features beyond those of the instruction set, for rows of
	// which it has several.
	needs []cpuid.FeatureID
	tile  string // what the function computes at a time, if that has a name
	impl  T
}

// family is an operation: its rows, best first, the last of them ref.
type family[T any] struct {
	op     string
	rows   []row[T]
	active T // of the row in use
	at     int
}

// anyFamily is a family, whatever its functions look like.
type anyFamily interface {
	use(isa string)
	info(yield func(Info))
}

// families is the dispatch table. Dispatch, tests, benchmarks and
// `weft kernels` range over it.
func families() []anyFamily {
	return slices.Concat(gemmFamilies, quantFamilies, vecFamilies, attentionFamilies)
}

// use makes the family's best row that needs no more than isa its active one.
func (f *family[T]) use(isa string) {
	f.at = f.best(isa)
	f.active = f.rows[f.at].impl
}

// best returns the index of that row.
func (f *family[T]) best(isa string) int {
	return slices.IndexFunc(f.rows, func(r row[T]) bool { return rank(r.isa) >= rank(isa) && r.missing() == "" })
}

// chosen is the instruction set that this process uses.
var chosen struct {
	isa string
	err error
}

func init() {
	chosen.isa, chosen.err = choose(os.Getenv("WEFT_ISA"))
	install(chosen.isa)
}

func install(isa string) {
	for _, f := range families() {
		f.use(isa)
	}
}

// missing names the CPU features that the machine lacks for an instruction
// set.
func missing(isa string) string { return lacking(isas[rank(isa)].needs) }

// missing names those that it lacks for the row.
func (r row[T]) missing() string { return lacking(r.allNeeds()) }

// allNeeds are the CPU features that the row needs.
func (r row[T]) allNeeds() []cpuid.FeatureID { return slices.Concat(isas[rank(r.isa)].needs, r.needs) }

func lacking(needs []cpuid.FeatureID) string {
	var list []string
	for _, f := range needs {
		if !cpuid.CPU.Supports(f) {
			list = append(list, f.String())
		}
	}
	return strings.Join(list, ", ")
}

// choose returns the instruction set to use: the one asked for, or the best
// that the machine has.
func choose(asked string) (string, error) {
	have := ISAs()
	switch {
	case asked == "":
		return have[0], nil
	case slices.Contains(have, asked):
		return asked, nil
	}
	lacks := ""
	if rank(asked) >= 0 {
		lacks = "the CPU lacks " + missing(asked) + "; "
	}
	return ISARef, fmt.Errorf("WEFT_ISA=%s: %sthis machine and build have %s", asked, lacks, strings.Join(have, ", "))
}

// ISA returns the instruction set in use.
func ISA() string { return chosen.isa }

// ISAError returns an error if WEFT_ISA names an instruction set that is
// unknown or that this machine lacks. ref is in use then.
func ISAError() error { return chosen.err }

// ISAs returns the instruction sets that this machine and build can use, best
// first.
func ISAs() []string {
	var list []string
	for _, s := range isas {
		if lacking(s.needs) == "" {
			list = append(list, s.name)
		}
	}
	return list
}

// Select makes the process use one of [ISAs] from now on: what tests and
// benchmarks compare. Nothing may compute meanwhile.
func Select(isa string) error {
	got, err := choose(isa)
	if err != nil {
		return err
	}
	chosen.isa = got
	install(got)
	return nil
}

// Use selects an instruction set until a test ends, and skips the test if the
// machine lacks it. tb is a *testing.T or *testing.B. Tests that use it do not
// run in parallel.
func Use(tb interface {
	Helper()
	Skip(...any)
	Cleanup(func())
}, isa string) {
	tb.Helper()
	old := chosen.isa
	if err := Select(isa); err != nil {
		tb.Skip(err)
	}
	tb.Cleanup(func() { chosen.isa = old; install(old) })
}

// Info describes one kernel of the dispatch table.
type Info struct {
	Op     string   `json:"op"`
	Name   string   `json:"name"`
	ISA    string   `json:"isa"`
	Needs  []string `json:"needs"` // CPU features
	Tile   string   `json:"tile,omitempty"`
	Usable bool     `json:"usable"`
	Chosen bool     `json:"chosen"`
	Why    string   `json:"why"`
}

// Rows returns the dispatch table of this machine, best first within each op.
func Rows() []Info {
	var list []Info
	for _, f := range families() {
		f.info(func(i Info) { list = append(list, i) })
	}
	return list
}

func (f *family[T]) info(yield func(Info)) {
	for at, r := range f.rows {
		i := Info{Op: f.op, Name: r.name, ISA: r.isa, Tile: r.tile, Needs: []string{}, Chosen: at == f.at}
		for _, need := range r.allNeeds() {
			i.Needs = append(i.Needs, need.String())
		}
		lacks := r.missing()
		i.Usable = lacks == ""
		switch {
		case !i.Usable:
			i.Why = "the CPU lacks " + lacks
		case i.Chosen && os.Getenv("WEFT_ISA") != "" && chosen.err == nil:
			i.Why = "best that WEFT_ISA allows"
		case i.Chosen:
			i.Why = "best that the CPU has"
		case at < f.at:
			i.Why = "WEFT_ISA forbids it"
		default:
			i.Why = "a better one is chosen"
		}
		yield(i)
	}
}
