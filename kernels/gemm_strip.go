package kernels

import "github.com/seed-512d3d71/weft/kernels/ref"

// strip is a block of rows by packed panels by a block of k, the part of a
// product in which everything stays in the caches:
//
//	dst[i][j] = (dst[i][j] if add) + Σ_p a[i][p]·b[j/16][p][j%16]
//
// Row i of a starts at i/seg·segStride + i%seg·lda, so that it can be a
// window that moves over a picture.
type strip struct {
	a, b, dst, next []float32 // next is what to fetch meanwhile, or nil
	lda, ldb, ldd   int       // ldb: from panel to panel
	seg, segStride  int       // seg 0: one segment
	rows, cols      int
	panels, k       int
	add             bool
	// raw, if not nil, is where the first tile of the full panels finds B, in
	// rows ldr apart, and from where it fills b.
	raw []float32
	ldr int
	// fresh: a is not in L2 yet.
	fresh bool
	// bf16: a and b are pairs of bfloat16.
	bf16 bool
}

// kernel returns the row that multiplies.
func (s *strip) kernel() *gemmRow {
	if s.bf16 {
		return &gemmBF16.active
	}
	return &gemmF32.active
}

// run computes the strip: panel by panel, so that it stays in L1 while the
// rows pass by.
func (s *strip) run() {
	row := s.kernel()
	if row.tile == nil {
		s.runRef()
		return
	}
	seg := s.seg
	if seg == 0 {
		seg = s.rows
	}
	// With this stride the same elements of all rows share one set of L1, which
	// holds the lines of 8.
	crowded := s.lda*4%4096 == 0
	side := row.side(min(s.rows, seg))
	for j := 0; j < s.panels; {
		n := side
		for n > s.panels-j || n > 1 && s.raw != nil && (j+n)*panelWidth > s.cols {
			n /= 2
		}
		most := row.rows[n]
		if crowded {
			most = min(most, 8)
		}
		b, cols := s.b[j*s.ldb:], min(n*panelWidth, s.cols-j*panelWidth)
		tile := 0
		for i0 := 0; i0 < s.rows; i0 += seg {
			end := min(i0+seg, s.rows)
			for i := i0; i < end; tile++ {
				h := tileHeight(end-i, most)
				x, c := s.a[i0/seg*s.segStride+(i-i0)*s.lda:], &s.dst[i*s.ldd+j*panelWidth]
				if tile == 0 && s.raw != nil && cols == n*panelWidth {
					raw := s.raw[j*panelWidth:]
					row.packing(h, n, first(x), s.lda, &raw[0], s.ldr, c, s.ldd, s.k, s.add, ahead(raw, s.ldr), &b[0], s.ldb)
					i += h
					continue
				}
				next, step := s.fetch(j, n, tile, h, b, x)
				row.tile(h, n, first(x), s.lda, first(b), s.ldb, c, s.ldd, s.k, cols, s.add, first(next), step)
				i += h
			}
		}
		j += n
	}
}

// fetch returns where the memory starts that tile number tile of panels
// [j, j+n) brings into L2 meanwhile, and the distance of its lines. The first
// tiles bring the panels that follow, or the columns of raw that follow; the
// others the rows of A that follow x, if they are needed. What is left is b,
// which is there.
func (s *strip) fetch(j, n, tile, h int, b, x []float32) (next []float32, step int) {
	after := s.next
	if j+n < s.panels {
		after = s.b[(j+n)*s.ldb:]
	}
	at, tiles := tile*s.ldb, n // a tile fetches a panel
	if n == 1 {
		fetched := s.kernel().fetch
		at, tiles = tile*fetched*s.k, panelWidth/fetched
	}
	if tile < tiles && at < len(after) {
		return after[at:], panelWidth
	}
	if at := (j + n + tile - 1) * panelWidth; s.raw != nil && tile <= n && at < len(s.raw) {
		return s.raw[at:], s.ldr
	}
	if at := h * s.lda; s.fresh && j == 0 && at < len(x) {
		return x[at:], panelWidth
	}
	return b, panelWidth
}

// compact copies A together if its stride puts the rows into so few sets of L2
// that they push each other out. Other strides are read in place.
func (s *strip) compact(scratch *scratch) {
	if s.lda*4%(cpu.l2/128) != 0 || s.rows <= 64 || s.k == 0 {
		return
	}
	lda := s.k + panelWidth // not a power of two
	to := grow(&scratch.a, s.rows*lda)
	copyRows(to, lda, s.a, s.lda, s.rows, s.k)
	s.a, s.lda = to, lda
}

// copyRows copies rows of n elements that are ld apart in src and ldd in dst.
func copyRows(dst []float32, ldd int, src []float32, ld, rows, n int) {
	if rows == 0 || n == 0 {
		return
	}
	if f := gemmF32.active.copyRows; f != nil && n >= 8 && n <= 4096 {
		_, _ = dst[(rows-1)*ldd+n-1], src[(rows-1)*ld+n-1]
		f(&dst[0], ldd, &src[0], ld, rows, n)
		return
	}
	for i := range rows {
		copy(dst[i*ldd:][:n], src[i*ld:])
	}
}

// ahead returns what a tile that reads B's rows fetches while it reads b.
func ahead(b []float32, ldb int) *float32 {
	rows := 8
	if ldb*4%4096 == 0 {
		rows = 4 // all in one set of L1
	}
	return &b[min(rows*ldb, len(b)-1)]
}

// first returns the address of x[0], which k = 0 does without.
func first(x []float32) *float32 {
	if len(x) == 0 {
		return nil
	}
	return &x[0]
}

// tileHeight returns the height of the next tile when left rows remain: the
// rows are shared out evenly, so that no tile is thin.
func tileHeight(left, most int) int {
	tiles := (left + most - 1) / most
	return (left + tiles - 1) / tiles
}

// thinTiles reports whether tiles of a segment of seg rows, of rows in all,
// leave the pipeline idle.
func (r *gemmRow) thinTiles(seg, rows int) bool {
	if r.tile == nil || seg >= rows || seg >= 4*r.thin {
		return false
	}
	most := r.rows[r.side(rows)]
	return seg/((seg+most-1)/most) < r.thin
}

func (s *strip) runRef() {
	for i := range s.rows {
		at := i * s.lda
		if s.seg > 0 {
			at = i/s.seg*s.segStride + i%s.seg*s.lda
		}
		for j := range s.panels {
			w := min(panelWidth, s.cols-j*panelWidth)
			dst, a, b := s.dst[i*s.ldd+j*panelWidth:][:w], s.a[at:][:s.k], s.b[j*s.ldb:]
			if s.bf16 {
				ref.GemmRowBF16(dst, a, b, bf16Words, s.add)
			} else {
				ref.GemmRowF32(dst, a, b, panelWidth, s.add)
			}
		}
	}
}
