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
	// The generator's tests compare the bytes with what is written beside them.
	vex := regexp.MustCompile(`BYTE +\$0xc4;.* // \{vex\} vpdpbusd ymm(\d+), ymm(\d+), ymm(\d+)`)
	spaces := regexp.MustCompile(`\s+`)
	for rows := 1; rows <= 6; rows++ {
		stem := "GemmU8S8Tile" + strconv.Itoa(rows) + "x16"
		got := vex.ReplaceAllString(body[stem+"AVXVNNI"], "VPDPBUSD Y$3, Y$2, Y$1")
		got, want := spaces.ReplaceAllString(got, " "), spaces.ReplaceAllString(body[stem+"AVX512VNNI"], " ")
		if got != want || !strings.Contains(got, "VPDPBUSD") || strings.Contains(got, "BYTE") {
			t.Errorf("%s is not its twin", stem)
		}
	}
}
