package kernels

import "github.com/seed-512d3d71/weft/internal/par"

// Matrix is a weight [Rows, Cols] (out features, in features) packed once into
// panels of 16 rows: within a panel the 16 elements of one column lie side by
// side, so that a micro-kernel reads it from front to back. The layout is the
// same on every instruction set. The last panel is filled up with zeros.
type Matrix struct {
	n, k int
	data []float32 // ceil(n/16) panels of depth·16
	bf16 bool      // two numbers in each of data
}

// panelWidth is the number of rows in a panel.
const panelWidth = 16

// Rows returns the number of out features.
func (m *Matrix) Rows() int { return m.n }

// Cols returns the number of in features.
func (m *Matrix) Cols() int { return m.k }

// Bytes returns the memory the packed weight takes.
func (m *Matrix) Bytes() int { return 4 * len(m.data) }

// depth is the length of a row in words of data.
func (m *Matrix) depth() int {
	if m.bf16 {
		return wordsBF16(m.k)
	}
	return m.k
}

func newMatrix(n, k int, bf16 bool) *Matrix {
	m := &Matrix{n: n, k: k, bf16: bf16}
	m.data = newWeights((n + panelWidth - 1) / panelWidth * panelWidth * m.depth())
	return m
}

// PackF32 packs w, n rows of k with row stride ldw: a PyTorch Linear's weight.
// Large weights are packed on all of the process's threads.
func PackF32(w []float32, n, k, ldw int) *Matrix {
	m := newMatrix(n, k, false)
	runPack(&packTask{m: m, ws: [][]float32{w}, ns: []int{n}, ldw: ldw})
	return m
}

// PackRowsF32 packs several weights [ns[i], k] stacked, as one product.
func PackRowsF32(ws [][]float32, ns []int, k int) *Matrix {
	total := 0
	for _, n := range ns {
		total += n
	}
	m := newMatrix(total, k, false)
	runPack(&packTask{m: m, ws: ws, ns: ns, ldw: k})
	return m
}

// PackF32T packs w, k rows of n with row stride ldw: GPT-2's Conv1D weight.
func PackF32T(w []float32, k, n, ldw int) *Matrix {
	m := newMatrix(n, k, false)
	runPack(&packTask{m: m, ws: [][]float32{w}, ldw: ldw})
	return m
}

// packTask packs one Matrix; a chunk is packChunk panels. The weights are rows
// of the matrix, or its columns if ns is nil.
type packTask struct {
	m   *Matrix
	ws  [][]float32
	ns  []int
	ldw int
}

const packChunk = 4

func runPack(p *packTask) {
	panels := (p.m.n + panelWidth - 1) / panelWidth
	var t *par.Team
	if len(p.m.data) > 1<<18 {
		t = par.Enter(0)
		defer t.Leave()
	}
	t.Run(p, (panels+packChunk-1)/packChunk)
}

func (p *packTask) Do(chunk int) {
	k, at := p.m.k, chunk*packChunk*panelWidth
	end := min(at+packChunk*panelWidth, p.m.n)
	if p.ns == nil {
		packColumns(p.m.data[at*k:], k*panelWidth, p.ws[0][min(at, len(p.ws[0])):], p.ldw, k, end-at)
		return
	}
	first := 0
	for i, w := range p.ws {
		last := first + p.ns[i]
		if lo, hi := max(at, first), min(end, last); lo < hi {
			packRows(p.m.data[lo/panelWidth*panelWidth*k:], k*panelWidth, lo%panelWidth, w[(lo-first)*p.ldw:], p.ldw, k, hi-lo)
		}
		first = last
	}
}

// packSteps bounds the time that one call of a packing kernel takes.
const packSteps = 512

// packRows packs n rows of src as rows lane, lane+1, … of panels that are ldd
// apart:
//
//	dst[(lane+i)/16*ldd + p*16 + (lane+i)%16] = src[i*ld+p]
func packRows(dst []float32, ldd, lane int, src []float32, ld, k, n int) {
	row := &gemmF32.active
	for i := 0; i < n; {
		at := lane + i
		panel, c := dst[at/panelWidth*ldd:], at%panelWidth
		p, h := 0, min(panelWidth-c, n-i)
		if h == panelWidth && row.packRows != nil && k >= panelWidth {
			for full := k &^ (panelWidth - 1); p < full; {
				n := min(packSteps, full-p)
				row.packRows(&panel[p*panelWidth], &src[i*ld+p], ld, n)
				p += n
			}
		}
		for ; p < k; p++ {
			for r := range h {
				panel[p*panelWidth+c+r] = src[(i+r)*ld+p]
			}
		}
		i += h
	}
}

// packColumns packs n columns of src into panels that are ldd apart and fills
// the last one up with zeros:
//
//	dst[j/16*ldd + p*16 + j%16] = src[p*ld+j]
func packColumns(dst []float32, ldd int, src []float32, ld, k, n int) {
	row := &gemmF32.active
	j := 0
	if full := n / panelWidth; full > 0 && k > 0 && row.packColumns != nil {
		for p := 0; p < k; p += packSteps {
			row.packColumns(&dst[p*panelWidth], ldd, &src[p*ld], ld, min(packSteps, k-p), full)
		}
		j = full * panelWidth
	}
	for ; j < n; j += panelWidth {
		w := min(panelWidth, n-j)
		panel := dst[j/panelWidth*ldd:][:k*panelWidth]
		for p := range k {
			to := panel[p*panelWidth:][:panelWidth]
			clear(to[copy(to[:w], src[p*ld+j:]):])
		}
	}
}
