package cuda

// The elementwise operations: rows by cols elements, each operand with its own
// stride. dst may be any operand.

var (
	addKernels    = byVector("map_sm75", "add")
	scaleKernels  = byVector("map_sm75", "scale")
	affineKernels = byVector("map_sm75", "affine")
	actKernels    = byVector("map_sm75", "act")
	gatedKernels  = byVector("map_sm75", "gated")
	castKernels   = func() (k [numTypes]vectors) {
		for t := range numTypes {
			k[t] = byVector("map_sm75", "cast_"+t.String())
		}
		return k
	}()
)

const mapThreads = 256

// mapRows launches an elementwise kernel over rows of cols.
func mapRows(q Queue, k Kernel, four bool, rows, cols int, a *Args) {
	if rows <= 0 || cols <= 0 {
		return
	}
	per := mapThreads
	if four {
		per *= 4
	}
	a.I32(rows).I32(cols)
	q.Launch(k, Dim{ceil(cols, per), min(rows, maxGrid), 1}, Dim{mapThreads, 1, 1}, 0, a)
}

// Add: dst = a + b.
func Add(q Queue, t Type, dst, a, b Mat, rows, cols int) {
	four := dst.whole(t, cols) && a.whole(t, cols) && b.whole(t, cols)
	mapRows(q, addKernels.choose(t, four), four, rows, cols, q.Args().Mat(dst).Mat(a).Mat(b))
}

// Scale: dst = s·x.
func Scale(q Queue, t Type, dst, x Mat, s float32, rows, cols int) {
	four := dst.whole(t, cols) && x.whole(t, cols)
	mapRows(q, scaleKernels.choose(t, four), four, rows, cols, q.Args().Mat(dst).Mat(x).F32(s))
}

// Affine: dst = x·scale + shift, column by column; scale and shift are floats.
func Affine(q Queue, t Type, dst, x Mat, scale, shift Ptr, rows, cols int) {
	four := dst.whole(t, cols) && x.whole(t, cols) && scale%16 == 0 && shift%16 == 0
	mapRows(q, affineKernels.choose(t, four), four, rows, cols, q.Args().Mat(dst).Mat(x).Ptr(scale).Ptr(shift))
}

// Activate: dst = act(x).
func Activate(q Queue, t Type, dst, x Mat, act Act, rows, cols int) {
	four := dst.whole(t, cols) && x.whole(t, cols)
	mapRows(q, actKernels.choose(t, four), four, rows, cols, q.Args().Mat(dst).Mat(x).I32(int(act)))
}

// Gated: dst = act(gate)·up.
func Gated(q Queue, t Type, dst, gate, up Mat, act Act, rows, cols int) {
	four := dst.whole(t, cols) && gate.whole(t, cols) && up.whole(t, cols)
	mapRows(q, gatedKernels.choose(t, four), four, rows, cols, q.Args().Mat(dst).Mat(gate).Mat(up).I32(int(act)))
}

// Cast copies x to dst, from one type to another or the same, rounding to
// nearest even.
func Cast(q Queue, to Type, dst Mat, from Type, x Mat, rows, cols int) {
	four := dst.whole(to, cols) && x.whole(from, cols)
	mapRows(q, castKernels[from].choose(to, four), four, rows, cols, q.Args().Mat(dst).Mat(x))
}
