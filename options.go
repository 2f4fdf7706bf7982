package weft

// Option changes how a model is opened.
type Option func(*options)

type options struct {
	threads int
	class   string
	device  string
}

// WithThreads bounds the threads that a call computes on. 0, the default,
// means all that the process may use. The result does not depend on it.
func WithThreads(n int) Option { return func(o *options) { o.threads = n } }

// WithClass opens the checkpoint as another class of its family than
// architectures[0] of its config.json names: "BertModel" on a
// BertForPreTraining checkpoint.
func WithClass(name string) Option { return func(o *options) { o.class = name } }

// WithDevice names the device to compute on: "cpu".
func WithDevice(name string) Option { return func(o *options) { o.device = name } }
