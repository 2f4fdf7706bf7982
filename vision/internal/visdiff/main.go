// Command visdiff lets a script compare package vision with Pillow and
// Transformers (vision/testdata/diff.py). It reads one JSON request a line from
// standard input and answers each with one JSON line:
//
//	{"op":"decode","path":P,"out":O}                      RGB bytes to O
//	{"op":"resize","path":P,"out":O,"w":W,"h":H,"filter":F}
//	{"op":"process","path":P,"out":O,"config":C,"model":M} float32 values to O
//
// Answers hold "shape", or "error" and "unsupported".
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"

	"github.com/seed-512d3d71/weft/vision"
)

type request struct {
	Op, Path, Out string
	W, H          int
	Filter        vision.Filter
	Config, Model json.RawMessage
}

type answer struct {
	Shape       []int  `json:"shape,omitempty"`
	Integer     bool   `json:"integer,omitempty"`
	Error       string `json:"error,omitempty"`
	Unsupported bool   `json:"unsupported,omitempty"`
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for in.Scan() {
		var r request
		a := answer{}
		err := json.Unmarshal(in.Bytes(), &r)
		if err == nil {
			a, err = serve(r)
		}
		if err != nil {
			a = answer{Error: err.Error(), Unsupported: errors.Is(err, vision.ErrUnsupported)}
		}
		if err := out.Encode(a); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func serve(r request) (answer, error) {
	im, err := vision.Open(r.Path, vision.Limits{})
	if err != nil {
		return answer{}, err
	}
	switch r.Op {
	case "decode":
	case "resize":
		if im, err = vision.Resize(im, r.W, r.H, r.Filter); err != nil {
			return answer{}, err
		}
	case "process":
		p, err := vision.ParseProcessor(r.Config, r.Model)
		if err != nil {
			return answer{}, err
		}
		v, shape, err := p.Process(im)
		if err != nil {
			return answer{}, err
		}
		b := make([]byte, 0, 4*len(v))
		for _, f := range v {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
		}
		return answer{Shape: shape[:], Integer: p.Integer()}, os.WriteFile(r.Out, b, 0o600)
	default:
		return answer{}, fmt.Errorf("unknown op %q", r.Op)
	}
	return answer{Shape: []int{im.H, im.W, 3}}, os.WriteFile(r.Out, im.Pix, 0o600)
}
