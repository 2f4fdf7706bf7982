//go:build !purego

package kernels

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/seed-512d3d71/weft/kernels/amd64"
)

func init() {
	igemmTwins["GemmU8S8Tile6x16AVX512VNNI"] = igemmTwin{ISAAVX512VNNI, igemmRow{
		rows: 6, panels: 1, bytes: 1, quantize: amd64.QuantizeRowsU8AVX2, tile: igemmTileTwin}}
}

// igemmTileTwin is igemmTileAVXVNNI in instructions that CPUs with AVX-512 have.
func igemmTileTwin(h int, a *byte, lda int, b *int8, ldb int, next *int8, c *float32, ldc, k, cols int, add bool, zero, sums *int32, rowScale, colScale *float32) {
	[]func(a *byte, lda int, b *int8, ldb int, next *int8, c *float32, ldc, k, cols int, add bool, zero, sums *int32, rowScale, colScale *float32){
		amd64.GemmU8S8Tile1x16AVX512VNNI, amd64.GemmU8S8Tile2x16AVX512VNNI, amd64.GemmU8S8Tile3x16AVX512VNNI,
		amd64.GemmU8S8Tile4x16AVX512VNNI, amd64.GemmU8S8Tile5x16AVX512VNNI, amd64.GemmU8S8Tile6x16AVX512VNNI,
	}[h-1](a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
}

// TestAVXVNNITwins: the tiles of AVX-VNNI, which few machines can run, are
// those of their twins, which more can, but for the encoding of VPDPBUSD.
func TestAVXVNNITwins(t *testing.T) {
	file, err := os.ReadFile("amd64/igemm_avxvnni_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	body := map[string]string{}
	for _, f := range strings.Split(string(file), "// func ")[1:] {
		name, _, _ := strings.Cut(f, "(")
		_, body[name], _ = strings.Cut(f, "\nTEXT ")
		_, body[name], _ = strings.Cut(body[name], "\n")
		body[name], _, _ = strings.Cut(body[name], "\n// ")
	}
	number := func(s string) int { n, _ := strconv.ParseUint(s, 0, 8); return int(n) }
	vex := regexp.MustCompile(`BYTE \$0xc4 BYTE \$(\w+) BYTE \$(\w+) BYTE \$0x50 BYTE \$(\w+)`)
	spaces := regexp.MustCompile(`\s+`)
	for rows := 1; rows <= 6; rows++ {
		stem := "GemmU8S8Tile" + strconv.Itoa(rows) + "x16"
		got, want := spaces.ReplaceAllString(body[stem+"AVXVNNI"], " "), spaces.ReplaceAllString(body[stem+"AVX512VNNI"], " ")
		got = vex.ReplaceAllStringFunc(got, func(s string) string {
			m := vex.FindStringSubmatch(s)
			p0, p1, modrm := number(m[1]), number(m[2]), number(m[3])
			dst, x, y := modrm>>3&7|^p0>>7&1<<3, ^p1>>3&15, modrm&7|^p0>>5&1<<3
			return "VPDPBUSD Y" + strconv.Itoa(y) + ", Y" + strconv.Itoa(x) + ", Y" + strconv.Itoa(dst)
		})
		if got != want || !strings.Contains(got, "VPDPBUSD") || strings.Contains(got, "BYTE") {
			t.Errorf("%s: the twins differ:\n%s\n\n%s", stem, got, want)
		}
	}
}
