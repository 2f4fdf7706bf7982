package kernels

import "github.com/seed-512d3d71/weft/internal/par"

func linearWeightOnly(t *par.Team, dst []float32, ldd int, a []float32, lda, m int, w *QMatrix, ep Epilogue) {
	LinearF32(t, dst, ldd, a, lda, m, PackF32(w.Dequantize(), w.n, w.k, w.k), ep)
}
