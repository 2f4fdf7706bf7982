package align_test

import (
	"errors"
	"math"
	"math/rand"
	"testing"

	"github.com/seed-512d3d71/weft/nn/align"
	"github.com/seed-512d3d71/weft/tensor"
)

type lossFunc func(a, b tensor.Tensor, temperature, bias float64) (float64, align.Gradient, error)

func infoNCE(a, b tensor.Tensor, temperature, _ float64) (float64, align.Gradient, error) {
	return align.InfoNCE(a, b, temperature)
}

// cosine is InfoNCE of normalised rows.
func cosine(a, b tensor.Tensor, temperature, _ float64) (float64, align.Gradient, error) {
	ua, backA, err := align.Normalize(a)
	if err != nil {
		return 0, align.Gradient{}, err
	}
	ub, backB, err := align.Normalize(b)
	if err != nil {
		return 0, align.Gradient{}, err
	}
	loss, g, err := align.InfoNCE(ua, ub, temperature)
	if err != nil {
		return 0, g, err
	}
	if g.A, err = backA(g.A); err == nil {
		g.B, err = backB(g.B)
	}
	return loss, g, err
}

// TestTorch compares with testdata/torch_losses.py.
func TestTorch(t *testing.T) {
	a := tensor.FromF32([]float32{0.5, -1, 2, 0.25, 1.5, 0.75, -0.5, 1, -0.25, 2, 1, -1.5}, 3, 4)
	b := tensor.FromF32([]float32{1, 0.5, -0.75, 2, 0.25, 1.25, 0.5, -1, -2, 1, 0.5, 0.75}, 3, 4)
	for _, c := range []struct {
		name              string
		loss              lossFunc
		want              float64
		a, b              []float64
		temperature, bias float64
	}{
		{"info_nce", infoNCE, 5.757391969158455,
			[]float64{-0.727885954, 0.022457076, 0.597355543, -1.354561467, 0.499469152, -0.499644545, -0.833083582, 1.999872034, 0.832423393, 0.497642975, 0.165743533, -0.91447122},
			[]float64{0.694572028, 1.110525509, -1.554471166, 0.513930234, -1.068104436, 0.633627097, 1.389315652, -1.614540863, 0.125195508, -0.749201161, -0.167029581, 0.520716222},
			-11.170370551, 0},
		{"sigmoid", align.Sigmoid, 6.61347124567478,
			[]float64{-0.693119361, -0.185953049, 0.538871974, -1.3363311, 0.528937741, -0.290280722, -0.748424332, 1.839952507, 0.268202711, 0.782591223, 0.307529819, -0.703324291},
			[]float64{0.678281014, 1.142373467, -1.616187813, 0.505038364, -0.881766037, 0.875756749, 1.076916987, -1.482921647, 0.039021625, -0.132457717, 0.017773158, 0.090477059},
			-12.467126615, 0.1290832},
		{"info_nce, unit rows", cosine, 1.6180690976610042,
			[]float64{-0.159820633, 0.045591199, 0.088549079, -0.206386565, -0.123384803, -0.221199474, -0.107049066, 0.297452277, 0.170113622, -0.019273629, -0.028926842, -0.073335004},
			[]float64{0.023246946, 0.141970879, -0.169914574, -0.110834158, -0.304384248, -0.147337527, 0.192976597, -0.163779672, -0.002831776, -0.117434684, 0.014070345, 0.139647947},
			-1.715275814, 0},
	} {
		loss, g, err := c.loss(a, b, 0.5, -1.25)
		if err != nil {
			t.Fatal(err)
		}
		near := func(what string, got, want float64) {
			if math.Abs(got-want) > 2e-7*(1+math.Abs(want)) {
				t.Errorf("%s: %s: %v, want %v", c.name, what, got, want)
			}
		}
		near("loss", loss, c.want)
		for i := range c.a {
			near("a", float64(g.A.F32()[i]), c.a[i])
			near("b", float64(g.B.F32()[i]), c.b[i])
		}
		near("temperature", g.Temperature, c.temperature)
		near("bias", g.Bias, c.bias)
	}
}

// TestFiniteDifferences moves each operand by h either way.
func TestFiniteDifferences(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	for _, c := range []struct {
		name string
		loss lossFunc
	}{{"info_nce", infoNCE}, {"sigmoid", align.Sigmoid}, {"info_nce, unit rows", cosine}} {
		for _, shape := range [][2]int{{1, 3}, {2, 1}, {5, 7}} {
			n, d := shape[0], shape[1]
			a, b := random(r, n, d), random(r, n, d)
			const h = 1.0 / (1 << 11)
			_, g, err := c.loss(a, b, 0.7, -0.4)
			if err != nil {
				t.Fatal(err)
			}
			slope := func(at func(by float64) float64, got float64) {
				want := (at(h) - at(-h)) / (2 * h)
				if math.Abs(got-want) > 2e-5*(1+math.Abs(want)) {
					t.Errorf("%s of %v: slope %v, the loss says %v", c.name, shape, got, want)
				}
			}
			at := func(temperature, bias float64) float64 {
				loss, _, err := c.loss(a, b, temperature, bias)
				if err != nil {
					t.Fatal(err)
				}
				return loss
			}
			for _, x := range []struct{ v, grad tensor.Tensor }{{a, g.A}, {b, g.B}} {
				for i := range x.v.F32() {
					v := &x.v.F32()[i]
					slope(func(by float64) float64 {
						was := *v
						defer func() { *v = was }()
						*v += float32(by)
						return at(0.7, -0.4)
					}, float64(x.grad.F32()[i]))
				}
			}
			slope(func(by float64) float64 { return at(0.7+by, -0.4) }, g.Temperature)
			slope(func(by float64) float64 { return at(0.7, -0.4+by) }, g.Bias)
		}
	}
}

func random(r *rand.Rand, n, d int) tensor.Tensor {
	x := make([]float32, n*d)
	for i := range x {
		x[i] = float32(r.Intn(64)-32) / 16 // on a grid that moving by h stays on
		if x[i] == 0 {
			x[i] = 1
		}
	}
	return tensor.FromF32(x, n, d)
}

func TestLargeSimilarities(t *testing.T) {
	a := tensor.FromF32([]float32{1e4, 0, 0, 1e4}, 2, 2)
	for _, loss := range []lossFunc{infoNCE, align.Sigmoid} {
		got, g, err := loss(a, a, 1e-3, 0)
		if err != nil || got > 1 || math.IsNaN(got) || math.IsNaN(float64(g.A.F32()[0])) {
			t.Errorf("loss %v, gradient %v: %v", got, g.A.F32(), err)
		}
	}
	got, err := align.SigmoidLogits(tensor.FromF32([]float32{-1e30}, 1, 1))
	if err != nil || math.Abs(got/1e30-1) > 1e-6 {
		t.Errorf("loss %v, want 1e30: %v", got, err)
	}
}

func TestLogits(t *testing.T) {
	// log(1 + e^-3) on either side of each pair
	got, err := align.InfoNCELogits(tensor.FromF32([]float32{4, 1, 1, 4}, 2, 2))
	if want := math.Log1p(math.Exp(-3)); err != nil || math.Abs(got-want) > 1e-12 {
		t.Errorf("loss %v, want %v: %v", got, want, err)
	}
}

func TestBadInput(t *testing.T) {
	two, three := tensor.FromF32(make([]float32, 4), 2, 2), tensor.FromF32(make([]float32, 6), 3, 2)
	ints := tensor.FromI64(make([]int64, 4), 2, 2)
	_, back, _ := align.Normalize(tensor.FromF32([]float32{1, 2}, 1, 2))
	for name, f := range map[string]func() error{
		"other count":  func() error { _, _, err := align.InfoNCE(two, three, 1); return err },
		"integers":     func() error { _, _, err := align.InfoNCE(ints, two, 1); return err },
		"nothing":      func() error { _, _, err := align.InfoNCE(tensor.Tensor{}, two, 1); return err },
		"zero":         func() error { _, _, err := align.InfoNCE(two, two, 0); return err },
		"NaN":          func() error { _, _, err := align.Sigmoid(two, two, math.NaN(), 0); return err },
		"no square":    func() error { _, err := align.InfoNCELogits(three); return err },
		"no matrix":    func() error { _, err := align.SigmoidLogits(tensor.FromF32([]float32{1}, 1)); return err },
		"zero row":     func() error { _, _, err := align.Normalize(two); return err },
		"no rows":      func() error { _, _, err := align.Normalize(ints); return err },
		"other shapes": func() error { _, err := back(two); return err },
	} {
		if err := f(); !errors.Is(err, align.ErrInput) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
