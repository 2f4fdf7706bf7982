package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-512d3d71/weft/safetensors"
)

const (
	root    = "../../"
	goldens = root + "testdata/golden/"
	demoDir = root + "testdata/demo/"
)

// invoke runs the command line and returns its exit status, stdout and stderr.
func invoke(args ...string) (status int, stdout, stderr string) {
	var out, err bytes.Buffer
	status = runMain(context.Background(), args, strings.NewReader(""), &out, &err)
	return status, out.String(), err.String()
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

func TestExitStatus(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.safetensors")
	in := goldens + "bert.model/in.safetensors"
	for _, c := range []struct {
		args   string
		status int
		last   string // the start of stderr's last line
	}{
		{"help", exitOK, ""},
		{"--version", exitOK, ""},
		{"run --help", exitOK, ""},
		{"help run", exitOK, ""},
		{"help fly", exitUsage, `weft: no command "fly"`},
		{"", exitUsage, ""},
		{"fly", exitUsage, `weft: no command "fly"`},
		{"run", exitUsage, "weft: --model is missing"},
		{"run --fast", exitUsage, "weft: flag provided but not defined: -fast"},
		{"run --model X --in Y --out Z more", exitUsage, `weft: unexpected argument "more"`},
		{"run --model X --in Y --out Z --set k", exitUsage, "weft: invalid value"},
		{"run --model X --in Y --out Z --threads -1", exitUsage, "weft: --threads -1 is negative"},
		{"run --model X --in Y --out Z --quant w3", exitUsage, `weft: --quant "w3"`},
		{"preprocess --model X --out Y", exitUsage, "weft: give either --image or --audio"},
		{"classify --model " + goldens + "bert.model", exitUsage, "weft: give one of --text, --image and --audio"},
		{"info", exitUsage, "weft: give one PATH"},
		{"quantize --model X", exitUsage, `weft: --out is missing`},
		{"quantize --model X --out Y --scheme w3", exitUsage, `weft: --scheme "w3"`},
		{"run --model X --in " + in + " --out " + out, exitError, "weft: "},
		{"run --model " + goldens + "bert.model --in " + in + " --out " + out + " --class BertForTelepathy", exitUnsupported, "weft: unsupported: " + goldens + `bert.model: class "BertForTelepathy"`},
		{"run --model " + goldens + "bert.model --in " + in + " --out " + out + " --set speed=9", exitUnsupported, `weft: unsupported: bert: argument "speed"`},
		{"run --model " + goldens + "bert.model --in " + goldens + "vit.model/in.safetensors --out " + out, exitError, "weft: bert: bad input: pixel_values"},
		{"run --model " + goldens + "bert.model --in " + in + " --out " + filepath.Join(out, "no"), exitError, "weft: "},
		{"run --model " + goldens + "bert.model --in " + in + " --out " + out + " --device tpu", exitUnsupported, `weft: unsupported: device "tpu"`},
		{"generate --model " + goldens + "bert.model --in " + in, exitUnsupported, "weft: unsupported: generate with BertModel"},
		{"transcribe --model " + demoDir + "encoders/audio --audio " + demoDir + "voice.flac", exitUnsupported, "weft: unsupported: transcription with Wav2Vec2Model"},
		{"classify --model " + demoDir + "encoders/text --text hello", exitUnsupported, "weft: unsupported: BertModel: classification with a class that has no logits"},
		{"embed --model " + goldens + "bert.model hello", exitError, "weft: " + goldens + "bert.model: text: no tokenizer"},
		{"run --model " + goldens + " --in " + in + " --out " + out, exitError, "weft: " + goldens + ": open config.json: "},
		{"info " + in + " --json", exitOK, ""},
		{"info " + root + "go.mod", exitError, "weft: "},
		{"kernels --json", exitOK, ""},
		{"devices --json", exitOK, ""},
	} {
		status, stdout, stderr := invoke(strings.Fields(c.args)...)
		if status != exitOK && stdout != "" {
			t.Errorf("weft %s: an error with %q on stdout", c.args, stdout)
		}
		if status != c.status || !strings.HasPrefix(lastLine(stderr), c.last) {
			t.Errorf("weft %s: status %d, want %d; stderr %q, want %q", c.args, status, c.status, stderr, c.last)
		}
		if _, err := os.Stat(out); err == nil {
			t.Fatalf("weft %s wrote its output", c.args)
		}
	}
}

// TestRun: the output file holds every output, and only the whole file has its
// name.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out.safetensors")
	if status, _, stderr := invoke("run", "--model", goldens+"vit.interpolate", "--in", goldens+"vit.interpolate/in.safetensors",
		"--out", out, "--set", "interpolate_pos_encoding=true", "--hidden-states", "--threads", "1"); status != 0 {
		t.Fatal(stderr)
	}
	f, err := safetensors.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := strings.Join(f.Names(), " "); got != "hidden_states.0 hidden_states.1 hidden_states.2 logits" {
		t.Error(got)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
}

func TestInfo(t *testing.T) {
	_, stdout, _ := invoke("info", "--json", goldens+"bert.model/in.safetensors")
	var file struct{ Tensors []tensorInfo }
	if err := json.Unmarshal([]byte(stdout), &file); err != nil || len(file.Tensors) != 3 {
		t.Fatalf("%v: %s", err, stdout)
	}
	x := file.Tensors[0]
	if x.Name != "attention_mask" || x.DType != "I64" || len(x.Shape) != 2 || x.End-x.Begin != int64(8*x.Shape[0]*x.Shape[1]) {
		t.Errorf("%+v", x)
	}
	_, stdout, _ = invoke("info", goldens+"bert.sharded")
	for _, want := range []string{"BertForTokenClassification", "F16", "yes"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%s does not say %s", stdout, want)
		}
	}
	_, stdout, _ = invoke("info", "--json", demoDir+"encoders/text")
	var model struct {
		Class, Tokenizer string
		Parameters       int64
		Runs             bool
	}
	if err := json.Unmarshal([]byte(stdout), &model); err != nil || model.Class != "BertModel" || !model.Runs || model.Tokenizer != "tokenizer.json" || model.Parameters == 0 {
		t.Errorf("%v: %s", err, stdout)
	}
}

func TestGenerateCTC(t *testing.T) {
	status, stdout, stderr := invoke("generate", "--model", goldens+"wav2vec2.ctc", "--in", goldens+"wav2vec2.ctc/in.safetensors", "--json")
	var g generated
	if err := json.Unmarshal([]byte(stdout), &g); status != 0 || err != nil || len(g.Sequences) == 0 || len(g.Sequences[0]) == 0 {
		t.Errorf("%d, %v, %s%s", status, err, stdout, stderr)
	}
}

func TestTokenize(t *testing.T) {
	lines := filepath.Join(t.TempDir(), "lines.jsonl")
	if err := os.WriteFile(lines, []byte("\"the cat\"\n[\"a\", \"dog\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr := invoke("tokenize", "--model", demoDir+"encoders/text", "--text-file", lines, "--json")
	var first, second encoding
	d := json.NewDecoder(strings.NewReader(stdout))
	if status != 0 || d.Decode(&first) != nil || d.Decode(&second) != nil {
		t.Fatal(status, stdout, stderr)
	}
	if got := strings.Join(first.Tokens, " "); got != "[CLS] the cat [SEP]" || first.Offsets[2] != [2]int{4, 7} {
		t.Errorf("%+v", first)
	}
	if n := len(second.TypeIDs); second.TypeIDs[0] != 0 || second.TypeIDs[n-1] != 1 {
		t.Errorf("%+v", second)
	}
	ids, _ := json.Marshal(first.InputIDs)
	if err := os.WriteFile(lines, ids, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stdout, _ = invoke("detokenize", "--model", demoDir+"encoders/text", "--ids-file", lines, "--json", "--skip-special-tokens"); !strings.Contains(stdout, "the cat") {
		t.Error(stdout)
	}
}

// TestHelp: each command's help shows its flags.
func TestHelp(t *testing.T) {
	for _, c := range commands() {
		status, stdout, _ := invoke(c.name, "--help")
		if status != 0 || !strings.HasPrefix(stdout, "usage: weft "+c.name) || !strings.Contains(stdout, "-threads") {
			t.Errorf("weft %s --help: status %d, %s", c.name, status, stdout)
		}
		for _, flag := range regexp.MustCompile(`--[a-z-]+`).FindAllString(c.args, -1) {
			if !strings.Contains(stdout, "\n  "+flag[1:]) {
				t.Errorf("weft %s --help does not explain %s", c.name, flag)
			}
		}
	}
}

// TestReadme: the README's commands exist, and those that it prints in full
// work.
func TestReadme(t *testing.T) {
	b, err := os.ReadFile(root + "README.md")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"help": true}
	for _, c := range commands() {
		known[c.name] = true
	}
	for _, m := range regexp.MustCompile("`weft ([a-z]+)[ `]").FindAllStringSubmatch(string(b), -1) {
		if !known[m[1]] {
			t.Errorf("the README names weft %s", m[1])
		}
	}
	lines := regexp.MustCompile(`(?m)^go run \./cmd/weft (.+)$`).FindAllStringSubmatch(string(b), -1)
	if len(lines) == 0 || lines[0][1] != "demo" {
		t.Fatalf("the README's first command is not the demo: %q", lines)
	}
	t.Chdir(root)
	for _, line := range lines {
		var args []string
		for i, part := range strings.Split(line[1], `"`) {
			if i%2 == 1 {
				args = append(args, part)
			} else {
				args = append(args, strings.Fields(part)...)
			}
		}
		if status, stdout, stderr := invoke(args...); status != 0 || stdout == "" {
			t.Errorf("weft %s: status %d\n%s", line[1], status, stderr)
		}
	}
}

// TestReadmeSnippets compiles the README's Go code.
func TestReadmeSnippets(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the compiler")
	}
	gobin, err := exec.LookPath("go")
	if err != nil {
		t.Skip(err)
	}
	b, err := os.ReadFile(root + "README.md")
	if err != nil {
		t.Fatal(err)
	}
	snippets := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(b), -1)
	if len(snippets) == 0 {
		t.Fatal("the README has no Go code")
	}
	for _, s := range snippets {
		file := filepath.Join(t.TempDir(), "main.go")
		code := "package main\n\nimport (\n\t\"context\"\n\n\t\"github.com/seed-512d3d71/weft\"\n)\n\n" +
			"func use(ctx context.Context) error {\n" + s[1] + "_ = hidden\nreturn nil\n}\n\nfunc main() { use(context.Background()) }\n"
		if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
		c := exec.Command(gobin, "build", "-o", os.DevNull, file)
		c.Dir = root
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s\n%s", err, out, s[1])
		}
	}
}
