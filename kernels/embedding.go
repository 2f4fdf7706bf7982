package kernels

import "github.com/seed-512d3d71/weft/internal/par"

// EmbeddingF32 gathers rows of a table:
//
//	dst[i] = table[ids[i]]  (or dst[i] + table[ids[i]] if accumulate)
//
// Shapes: dst [len(ids), cols] and table [_, cols], dense. The caller has
// checked the ids.
func EmbeddingF32(t *par.Team, dst []float32, cols int, ids []int32, table []float32, accumulate bool) {
	if len(ids) == 0 || cols <= 0 {
		return
	}
	check(dst, cols, len(ids), cols)
	runRows(t, vecTask{run: embeddingChunk, dst: dst, ldd: cols, a: table, lda: cols, ids: ids, mul: accumulate, cols: cols}, len(ids), cols)
}

// EmbeddingS8 is EmbeddingF32 for a table of bytes with a scale a row:
//
//	dst[i][j] = float32(q[ids[i]][j])·scale[ids[i]]  (or dst[i][j] + that)
func EmbeddingS8(t *par.Team, dst []float32, cols int, ids []int32, q []int8, scale []float32, accumulate bool) {
	if len(ids) == 0 || cols <= 0 {
		return
	}
	check(dst, cols, len(ids), cols)
	runRows(t, vecTask{run: embeddingS8Chunk, dst: dst, ids: ids, q: q, a: scale, mul: accumulate, cols: cols}, len(ids), cols)
}

func embeddingS8Chunk(v *vecTask, lo, hi int) {
	for i := lo; i < hi; i++ {
		dst, id := v.dst[i*v.cols:][:v.cols], int(v.ids[i])
		s := v.a[id]
		for j, x := range v.q[id*v.cols:][:v.cols] {
			y := float32(float32(x) * s)
			if v.mul {
				y += dst[j]
			}
			dst[j] = y
		}
	}
}

// GatherF32 copies rows: dst[i] = x[rows[i]], or zeros for a negative row.
//
// Shapes: dst [len(rows), cols] with row stride ldd, x [_, cols] with row
// stride ldx. dst may not be x.
func GatherF32(t *par.Team, dst []float32, ldd int, x []float32, ldx int, rows []int32, cols int) {
	if len(rows) == 0 || cols <= 0 {
		return
	}
	check(dst, ldd, len(rows), cols)
	runRows(t, vecTask{run: embeddingChunk, dst: dst, ldd: ldd, a: x, lda: ldx, ids: rows, cols: cols}, len(rows), cols)
}

func embeddingChunk(v *vecTask, lo, hi int) {
	for i := lo; i < hi; i++ {
		dst, id := v.dst[i*v.ldd:][:v.cols], int(v.ids[i])
		switch {
		case id < 0:
			clear(dst)
		case v.mul:
			biasAct(dst, 0, dst, 0, nil, v.a[id*v.lda:][:v.cols], 0, false, ActNone, 1, v.cols)
		default:
			copy(dst, v.a[id*v.lda:][:v.cols])
		}
	}
}

// PatchesF32 unfolds pictures into patches that do not overlap, one a row:
//
//	dst[((i·H/ph)+y)·(W/pw)+x][(ch·ph+r)·pw+q] = pictures[i][ch][y·ph+r][x·pw+q]
//
// Shapes: pictures [n, c, h, w] dense, dst [n·(h/ph)·(w/pw), c·ph·pw] with row
// stride ldd. What does not fill a patch is dropped.
func PatchesF32(t *par.Team, dst []float32, ldd int, pictures []float32, n, c, h, w, ph, pw int) {
	rows := n * (h / ph)
	if rows <= 0 || w/pw <= 0 {
		return
	}
	check(dst, ldd, rows*(w/pw), c*ph*pw)
	runRows(t, vecTask{run: patchesChunk, dst: dst, ldd: ldd, a: pictures, cols: c, h: h, w: w, kh: ph, kw: pw}, rows, c*ph*w)
}

// patchesChunk unfolds lines of patches.
func patchesChunk(v *vecTask, lo, hi int) {
	down, across := v.h/v.kh, v.w/v.kw
	for line := lo; line < hi; line++ {
		i, y := line/down, line%down
		for x := range across {
			dst := v.dst[(line*across+x)*v.ldd:][:v.cols*v.kh*v.kw]
			for ch := range v.cols {
				for r := range v.kh {
					copy(dst[(ch*v.kh+r)*v.kw:][:v.kw], v.a[((i*v.cols+ch)*v.h+y*v.kh+r)*v.w+x*v.kw:])
				}
			}
		}
	}
}
