package kernels

import "github.com/seed-512d3d71/weft/internal/par"

func MatMulF32(t *par.Team, dst []float32, ldd int, a []float32, lda int, b []float32, ldb int, bT bool, m, n, k int, batch, sd, sa, sb int) {
	for z := range batch {
		var w *Matrix
		if bT {
			w = PackF32(b[z*sb:], n, k, ldb)
		} else {
			w = PackF32T(b[z*sb:], k, n, ldb)
		}
		LinearF32(t, dst[z*sd:], ldd, a[z*sa:], lda, m, w, Epilogue{})
	}
}
