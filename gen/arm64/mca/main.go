// Command mca writes the table of docs/arm64.md: what LLVM's models of several
// cores say about the inner loops of package kernels/arm64.
//
//	go -C gen run ./arm64/mca [-mca llvm-mca]
//
// It disassembles the kernels as Go assembled them (Debian's
// binutils-aarch64-linux-gnu) and gives the hottest loop of each to llvm-mca
// (Debian's llvm). The limit of a core is what a loop of nothing but independent
// products of registers, of the loop's kind, reaches on its model.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// cores are LLVM's names. The first does not reorder instructions.
var cores = []string{"cortex-a55", "cortex-a76", "neoverse-n1", "neoverse-v1", "apple-m1"}

// kernels whose loops are looked at, with what an iteration does.
var kernels = []struct{ name, does string }{
	{"GemmF32Tile6x16", "product, 6 rows"},
	{"GemmF32Tile5x16", "product, 5 rows"},
	{"GemmF32Tile4x16", "product, 4 rows"},
	{"GemmF32Tile3x32", "product, 3 rows"},
	{"GemmF32Tile2x32", "product, 2 rows"},
	{"GemmF32Tile1x64", "product, 1 row"},
	{"GemmF32Packing6x16", "product that packs, 6 rows"},
	{"GemmF32Direct6x16", "product in place, 6 rows"},
	{"AttnProductF32Rows6", "attention, 6 rows"},
	{"AttnKeysF32Rows1", "attention, keys in place"},
	{"AttnValuesF32Rows1", "attention, values in place"},
	{"GemmBF16Tile6x16", "product in bfloat16, 6 rows"},
	{"GemmU8S8Matrix6x16", "product of bytes, matrices"},
	{"GemmU8S8Dot6x16", "product of bytes, dot products"},
	{"GemmS16S8Tile4x16", "product of bytes, Armv8.0"},
	{"GemmX24S8Dot1x32", "by a weight of 8 bits, 1 row"},
	{"GemmX24S8Dot2x16", "by a weight of 8 bits, 2 rows"},
	{"GemmX24S8Long2x16", "by a weight of 8 bits, Armv8.0"},
	{"GemmX24S4Dot1x32", "by a weight of 4 bits, 1 row"},
	{"GemmX24S4Dot2x16", "by a weight of 4 bits, 2 rows"},
	{"GemmX24S4Long1x16", "by a weight of 4 bits, Armv8.0"},
	{"AttnExpF32", "attention, exponentials of 32"},
	{"SoftmaxF32", "softmax, exponentials of 32"},
	{"LayerNormF32", "layer norm, moments of 32"},
	{"ActGELUF32", "GELU of 8"},
	{"ActSiLUF32", "SiLU of 8"},
	{"ActTanhF32", "tanh of 8"},
	{"ConvertF16F32", "8 from half precision"},
	{"ConvertF32BF16", "8 to bfloat16"},
}

func main() {
	mca := flag.String("mca", "llvm-mca", "LLVM's analyser")
	flag.Parse()
	dir, err := os.MkdirTemp("", "mca")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "kernels.test")
	build := exec.Command("go", "test", "-c", "-o", binary, ".")
	build.Dir = filepath.Join("..", "kernels")
	build.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		log.Fatalf("%v\n%s", err, out)
	}
	version, err := exec.Command(*mca, "--version").Output()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n\n", bytes.TrimSpace(bytes.SplitN(version, []byte("\n"), 2)[0]))
	fmt.Print("| loop | an iteration | instructions | products |")
	for _, core := range cores {
		fmt.Printf(" %s |", core)
	}
	fmt.Print("\n|---|---|--:|--:|" + strings.Repeat("--:|", len(cores)) + "\n")
	for _, k := range kernels {
		loop := hottest(binary, k.name)
		products := slices.DeleteFunc(slices.Clone(loop), func(l string) bool { return !product.MatchString(l) })
		fmt.Printf("| `%sNEON` | %s | %d | %d |", k.name, k.does, len(loop), len(products))
		for _, core := range cores {
			n, ports := cycles(*mca, core, loop)
			fmt.Printf(" %.1f", n)
			if 5*len(products) > 2*len(loop) { // it is about products
				share := 100 * float64(len(products)) * limit(*mca, core, products[0]) / n
				if share < 89.5 {
					fmt.Printf(" (%.0f %%, ports %.1f)", share, ports)
				} else {
					fmt.Printf(" (%.0f %%)", share)
				}
			}
			fmt.Print(" |")
		}
		fmt.Println()
	}
}

// product is an instruction that the figures are about.
var product = regexp.MustCompile(`^(fml[as]|sdot|smlal2?|usmmla|bfmmla)\s+v\d+(\S+), v\d+(\S+), v\d+(\S+)$`)

// limit is the cycles that a core takes for one of many independent products
// of the same kind.
func limit(mca, core, like string) float64 {
	const chains = 24
	m := product.FindStringSubmatch(like)
	var loop []string
	for i := range chains {
		loop = append(loop, fmt.Sprintf("%s v%d%s, v0%s, v1%s", m[1], 31-i, m[2], m[3], m[4]))
	}
	n, _ := cycles(mca, core, loop)
	return n / chains
}

// instruction is a line of objdump: address, code, text.
var instruction = regexp.MustCompile(`^\s+([0-9a-f]+):\t[0-9a-f]+ \t([^/]*)`)

// target is where a branch goes.
var target = regexp.MustCompile(`^(?:b\.?\w*|cbn?z)\s.*?([0-9a-f]+) <`)

// hottest returns the innermost loop with the most vector arithmetic, without
// its jumps: those within it are over what a caller may leave out.
func hottest(binary, name string) (best []string) {
	symbol := "github.com/seed-512d3d71/weft/kernels/arm64." + name + "NEON.abi0"
	out, err := exec.Command("aarch64-linux-gnu-objdump", "-d", "--disassemble="+symbol, binary).Output()
	if err != nil {
		log.Fatal(err)
	}
	var lines []string
	index := map[uint64]int{}
	last := -1 // jump back: a loop around it is not innermost
	for _, line := range strings.Split(string(out), "\n") {
		m := instruction.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		at, _ := strconv.ParseUint(m[1], 16, 64)
		text := strings.TrimSpace(m[2])
		index[at] = len(lines)
		lines = append(lines, text)
		t := target.FindStringSubmatch(text)
		if t == nil {
			continue
		}
		to, _ := strconv.ParseUint(t[1], 16, 64)
		first, ok := index[to]
		if !ok || to >= at {
			continue
		}
		if first > last {
			body := slices.DeleteFunc(slices.Clone(lines[first:]), target.MatchString)
			if weight(body) > weight(best) {
				best = body
			}
		}
		last = len(lines) - 1
	}
	if best == nil {
		log.Fatalf("%s: no loop", name)
	}
	return best
}

var vector = regexp.MustCompile(`^\w+\s+v\d+\.`)

// weight is the number of vector instructions.
func weight(loop []string) (n int) {
	for _, l := range loop {
		if vector.MatchString(l) {
			n++
		}
	}
	return n
}

// cycles is what an iteration takes in the long run.
func cycles(mca, core string, loop []string) (n, ports float64) {
	const few, many = 100, 300
	total := func(iterations int) float64 {
		cmd := exec.Command(mca, "-mtriple=aarch64", "-mcpu="+core, "-mattr=+dotprod,+i8mm,+bf16", fmt.Sprint("-iterations=", iterations),
			"-instruction-info=false", "-resource-pressure=false")
		cmd.Stdin = strings.NewReader(strings.Join(loop, "\n") + "\n")
		out, err := cmd.CombinedOutput()
		m := regexp.MustCompile(`(?s)Total Cycles:\s+(\d+).*Block RThroughput:\s+([\d.]+)`).FindSubmatch(out)
		if err != nil || m == nil {
			log.Fatalf("%s: %v\n%s", core, err, out)
		}
		n, _ := strconv.ParseFloat(string(m[1]), 64)
		ports, _ = strconv.ParseFloat(string(m[2]), 64)
		return n
	}
	return (total(many) - total(few)) / (many - few), ports
}
