// Command amd64 writes the assembly of package kernels/amd64.
package main

import (
	"flag"
	"log"

	. "github.com/mmcloughlin/avo/build"
)

// ops are the generators by the name that the go:generate lines give. A file
// of this package registers its own in a map that is listed here.
var ops = []map[string]func(){gemmOps, igemmOps, vecOps, attnOps}

func main() {
	op := flag.String("op", "", "generator to run")
	flag.Parse() // avo's own flags say where the output goes
	var gen func()
	for _, list := range ops {
		if f, ok := list[*op]; ok {
			gen = f
		}
	}
	if gen == nil {
		log.Fatalf("no generator %q", *op)
	}
	ConstraintExpr("!purego")
	gen()
	Generate()
}
