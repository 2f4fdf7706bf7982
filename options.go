package weft

import "github.com/seed-512d3d71/weft/nn"

// Option changes how a model is opened.
type Option func(*options)

type options struct {
	threads int
	class   string
	device  string
	quant   nn.Quantization

	precision string
	wrap      func(nn.Backend) nn.Backend
}

// WithThreads bounds the threads that a call computes on. 0, the default,
// means all that the process may use. The result does not depend on it.
func WithThreads(n int) Option { return func(o *options) { o.threads = n } }

// WithClass opens the checkpoint as another class of its family than
// architectures[0] of its config.json names: "BertModel" on a
// BertForPreTraining checkpoint.
func WithClass(name string) Option { return func(o *options) { o.class = name } }

// WithBackend binds and runs a model that computes on the CPU on wrap(b), b the
// backend that it would have otherwise: to watch what it computes.
func WithBackend(wrap func(nn.Backend) nn.Backend) Option {
	return func(o *options) { o.wrap = wrap }
}

// Quantization says how weights are stored and multiplied: see
// [nn.Quantization].
type Quantization = nn.Quantization

// WithQuantization quantizes the weights of linear layers as they are bound.
// A checkpoint that is quantized already needs no option: it runs as it is
// stored.
func WithQuantization(q Quantization) Option { return func(o *options) { o.quant = q } }

// WithPrecision names what products by weights are computed in: "f32", the
// default, whose results have the same bits on every machine, or "bf16", which
// rounds weights and activations of linear layers and convolutions to bfloat16
// and adds up in float32. That is about twice as fast, takes half the memory and
// keeps two to three digits; it needs AVX512_BF16 or Arm's BF16, and Open returns
// an [ErrUnsupported] that names what the CPU lacks. On a GPU all activations are
// bfloat16.
func WithPrecision(name string) Option { return func(o *options) { o.precision = name } }
