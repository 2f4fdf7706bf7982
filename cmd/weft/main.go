// Command weft runs Hugging Face checkpoints: see "weft help".
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"

	"github.com/seed-512d3d71/weft"
	"github.com/seed-512d3d71/weft/kernels"
)

// Exit statuses, the contract with scripts.
const (
	exitOK          = 0
	exitError       = 1
	exitUsage       = 2
	exitUnsupported = 3
)

// command is one subcommand.
type command struct {
	name    string
	args    string // after the name, in the usage line
	summary string
	run     func(ctx context.Context, c *call) error
}

// commands are the subcommands in the order of the help text.
func commands() []command {
	return []command{
		{"demo", "[--html FILE] [--json] [--model DIR] [FILE | DIR | SENTENCE]…", "sentences, pictures and voices compared, with the model that weft carries", runDemo},
		{"encode", "--model DIR | --text-model DIR --image-model DIR --audio-model DIR [--text S] [--image F] [--audio F]", "features of a sentence, a picture and a sound", runEncode},
		{"embed", "--model DIR (--text-file F.jsonl --out OUT.safetensors | SENTENCE…)", "sentence embeddings (sentence-transformers directories)", runEmbed},
		{"classify", "--model DIR (--text S | --image F | --audio F)", "labels and their scores", runClassify},
		{"transcribe", "--model DIR --audio F", "speech to text (CTC models)", runTranscribe},
		{"run", "--model DIR --in IN.safetensors --out OUT.safetensors [--class NAME] [--set KEY=VALUE]… [--hidden-states]", "one forward pass on named tensors", runRun},
		{"generate", "--model DIR (--in IN.safetensors | [--text S] [--image F] [--audio F]) [--max-new-tokens N] [--greedy | --num-beams N] [--set KEY=VALUE]… [--json]", "write text token by token", runGenerate},
		{"match", "--query (TEXT | FILE) [--model DIR] [--top N] [--json] (FILE | DIR)…", "search pictures, sounds and texts by any of them", runMatch},
		{"eval", "[--data DIR] [--model DIR] [--json]", "how well a model matches and describes, beside chance", runEval},
		{"tokenize", "--model DIR --text-file F.jsonl --json [--no-special-tokens] [--no-truncation] [--no-padding]", "text to token ids", runTokenize},
		{"detokenize", "--model DIR --ids-file F.jsonl --json [--skip-special-tokens]", "token ids to text", runDetokenize},
		{"preprocess", "--model DIR (--image F | --audio F) --out OUT.safetensors", "a picture or a sound to a model's input", runPreprocess},
		{"quantize", "--model DIR --out DIR2 [--scheme w8a8|w8|w4] [--group-size N] [--embeddings] [--keep REGEX]… [--calibrate FILES] [--calibrate-method max|mse|percentile] [--percentile P] [--smooth ALPHA] [--auto COSINE]", "a copy of a model directory in 8 or 4 bits", runQuantize},
		{"info", "PATH [--json]", "what a model directory or a safetensors file holds", runInfo},
		{"kernels", "[--json]", "the dispatch table of this machine", runKernels},
		{"devices", "[--json]", "the devices that can compute", runDevices},
		{"bench", "[REGEX] [--json] | --serve --models DIR", "kernel benchmarks of this machine, or the worker of a harness", runBench},
		{"version", "", "the version of this binary", runVersion},
	}
}

// later are commands that are planned and that this version does not have.
var later = map[string]bool{"serve": true}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	status := runMain(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// call is one invocation: its flags, arguments and streams.
type call struct {
	*flag.FlagSet
	stdin          io.Reader
	stdout, stderr io.Writer
	model          string
	threads        int
	quant          string
	device         string
	precision      string
	json           bool
	args           []string
	help           func() // prints the usage and the flags
}

// usageError is a mistake in the command line: exit status 2.
type usageError struct{ msg string }

func (e usageError) Error() string { return e.msg }

func usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

func runMain(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (status int) {
	defer func() {
		if r := recover(); r != nil {
			fmt.Fprintf(stderr, "%s\nweft: internal error: %v\n", debug.Stack(), r)
			status = exitError
		}
	}()
	if len(args) == 0 {
		help(stderr)
		return exitUsage
	}
	name := args[0]
	switch name {
	case "help", "-h", "-help", "--help":
		if len(args) == 1 {
			help(stdout)
			return exitOK
		}
		name, args = args[1], []string{args[1], "--help"}
	case "--version", "-version":
		name = "version"
	}
	if later[name] {
		fmt.Fprintf(stderr, "weft: unsupported: command %q in this version\n", name)
		return exitUnsupported
	}
	for _, cmd := range commands() {
		if cmd.name == name {
			return report(stderr, cmd, cmd.run(ctx, newCall(cmd, args[1:], stdin, stdout, stderr)))
		}
	}
	fmt.Fprintf(stderr, "weft: no command %q; weft help lists them\n", name)
	return exitUsage
}

func report(stderr io.Writer, cmd command, err error) int {
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "usage: weft %s %s\nweft: %s\n", cmd.name, cmd.args, usage.msg)
		return exitUsage
	case weft.IsUnsupported(err):
		fmt.Fprintf(stderr, "weft: unsupported: %s\n", strings.ReplaceAll(oneLine(err), "unsupported: ", ""))
		return exitUnsupported
	}
	fmt.Fprintf(stderr, "weft: %s\n", oneLine(err))
	return exitError
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", " ") }

func help(w io.Writer) {
	fmt.Fprint(w, "weft runs Hugging Face checkpoints: text, images, speech. weft demo needs none.\n\nUsage: weft COMMAND [FLAGS]\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-11s %s\n", c.name, c.summary)
	}
	fmt.Fprint(w, `
weft COMMAND --help shows a command's flags. --threads N bounds the threads,
WEFT_ISA=NAME forces an instruction set of those that "weft kernels" lists.
Results go to stdout, all else to stderr. Exit status: 0 done, 1 error, 2 wrong
usage, 3 unsupported.
`)
}

// newCall makes the flag set with the flags that every command takes.
func newCall(cmd command, args []string, stdin io.Reader, stdout, stderr io.Writer) *call {
	c := &call{FlagSet: flag.NewFlagSet(cmd.name, flag.ContinueOnError), stdin: stdin, stdout: stdout, stderr: stderr}
	c.SetOutput(io.Discard)
	c.help = func() {
		fmt.Fprintf(stdout, "usage: weft %s %s\n\n%s\n\n", cmd.name, cmd.args, cmd.summary)
		c.SetOutput(stdout)
		c.PrintDefaults()
		c.SetOutput(io.Discard)
	}
	c.Usage = func() {} // report says what is wrong
	c.StringVar(&c.model, "model", "", "Hugging Face `directory` of the model")
	c.IntVar(&c.threads, "threads", 0, "threads that may compute; 0: all")
	c.StringVar(&c.quant, "quant", "", "quantize on load: w8a8, w8 or w4")
	c.StringVar(&c.precision, "precision", "f32", "compute in f32, or in bf16: faster, not as exact")
	c.StringVar(&c.device, "device", "cpu", "`device` to compute on: cpu, cuda or cuda:N (weft devices lists them)")
	c.BoolVar(&c.json, "json", false, "print JSON")
	c.args = args
	return c
}

// parse parses the flags, which may stand before and after other arguments,
// and returns the latter. It checks the flags that every command takes.
func (c *call) parse() ([]string, error) {
	var rest []string
	args := c.args
	for {
		if err := c.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				c.help()
				return nil, err
			}
			return nil, usageError{err.Error()}
		}
		args = c.Args()
		if len(args) == 0 {
			break
		}
		rest, args = append(rest, args[0]), args[1:]
	}
	if c.threads < 0 {
		return nil, usagef("--threads %d is negative", c.threads)
	}
	if c.quant != "" {
		if _, err := kernels.ParseScheme(c.quant); err != nil {
			return nil, usagef("--quant %q is none of w8a8, w8, w4", c.quant)
		}
	}
	if _, err := kernels.ParsePrecision(c.precision); err != nil {
		return nil, usagef("--precision %q is none of f32, bf16", c.precision)
	}
	return rest, nil
}

// parseNone is parse for commands that take flags only.
func (c *call) parseNone() error {
	rest, err := c.parse()
	if err == nil && len(rest) > 0 {
		err = usagef("unexpected argument %q", rest[0])
	}
	return err
}

// need returns a usage error that names the first flag without a value.
func (c *call) need(flags ...string) error {
	for _, name := range flags {
		if f := c.Lookup(name); f == nil || f.Value.String() == "" {
			return usagef("--%s is missing", name)
		}
	}
	return nil
}

// open opens --model, or the directory given.
func (c *call) open(dir string, opts ...weft.Option) (*weft.Model, error) {
	return weft.Open(dir, append(c.options(), opts...)...)
}

func (c *call) options() []weft.Option {
	scheme, _ := kernels.ParseScheme(c.quant) // checked by parse
	return []weft.Option{weft.WithThreads(c.threads), weft.WithDevice(c.device),
		weft.WithQuantization(weft.Quantization{Scheme: scheme}), weft.WithPrecision(c.precision)}
}
