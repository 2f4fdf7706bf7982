package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestLoops holds the inner loops to the numbers of instructions and of fused
// multiply-adds for which docs/arm64.md has LLVM's figures: a loop that changes
// needs its figures taken anew, by mca beside this file.
func TestLoops(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "arm64.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `(\\w+)` \\| [^|]+ \\| (\\d+) \\| (\\d+) \\|").FindAllStringSubmatch(string(doc), -1)
	if len(rows) == 0 {
		t.Fatal("docs/arm64.md has no table of loops")
	}
	asm := ""
	for stem := range files {
		asm += generate(stem).assembly()
	}
	for _, r := range rows {
		_, body, ok := strings.Cut(asm, "TEXT ·"+r[1]+"(SB)")
		if !ok {
			t.Errorf("%s is no kernel", r[1])
			continue
		}
		body, _, _ = strings.Cut(body, "TEXT ")
		n, fma := hottest(strings.Split(body, "\n"))
		if got, want := fmt.Sprint(n, fma), r[2]+" "+r[3]; got != want {
			t.Errorf("%s: the loop has %s instructions and multiply-adds, in docs/arm64.md %s", r[1], got, want)
		}
	}
}

var (
	labelLine = regexp.MustCompile(`^(\w+):$`)
	jump      = regexp.MustCompile(`^\t(?:B\w*|CBN?Z)\t(?:R\d+, )?(\w+)$`)
	vector    = regexp.MustCompile(`^\t(WORD|V)`)
	fused     = regexp.MustCompile(`^\t(VFML[AS]|WORD\t\S+ // (fmla|sdot|smlal2?|usmmla|bfmmla))\b`)
)

// hottest counts what the innermost loop with the most vector instructions
// has, but for jumps.
func hottest(lines []string) (n, fma int) {
	at, last, most := map[string]int{}, -1, 0
	for i, line := range lines {
		if m := labelLine.FindStringSubmatch(line); m != nil {
			at[m[1]] = i
		}
		m := jump.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		first, ok := at[m[1]]
		if !ok {
			continue
		}
		if first > last {
			all, vectors, products := 0, 0, 0
			for _, l := range lines[first:i] {
				if strings.HasPrefix(l, "\t") && !jump.MatchString(l) {
					all++
				}
				if vector.MatchString(l) {
					vectors++
				}
				if fused.MatchString(l) {
					products++
				}
			}
			if vectors > most {
				n, fma, most = all, products, vectors
			}
		}
		last = i
	}
	return n, fma
}
