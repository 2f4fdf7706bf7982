// Command tokens answers requests about tokenizers, a JSON object a line, for
// the comparison with the Python library in text/testdata/diff.py.
//
//	{"open": "DIR"}                      use the tokenizer of a directory
//	{"text": "…", "pair": "…", …}        encode
//	{"batch": ["…", …]}                  encode side by side
//	{"ids": [1, 2], "skip": true}        decode
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"github.com/seed-512d3d71/weft/text"
)

type request struct {
	Open  string   `json:"open"`
	Text  *string  `json:"text"`
	Pair  *string  `json:"pair"`
	Batch []string `json:"batch"`
	IDs   []int    `json:"ids"`
	Skip  bool     `json:"skip"`

	NoSpecial bool `json:"no_special"`
}

type encoding struct {
	IDs      []int      `json:"ids"`
	Tokens   []string   `json:"tokens"`
	Offsets  [][2]int   `json:"offsets"`
	Types    []int      `json:"types"`
	Mask     []int      `json:"mask"`
	Special  []int      `json:"special"`
	Words    []int      `json:"words"`
	Overflow []encoding `json:"overflow,omitempty"`
}

func convert(e text.Encoding) encoding {
	out := encoding{e.IDs, e.Tokens, e.Offsets, e.TypeIDs, e.AttentionMask, e.SpecialTokensMask, e.WordIDs, nil}
	for _, o := range e.Overflowing {
		out.Overflow = append(out.Overflow, convert(o))
	}
	return out
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	enc := json.NewEncoder(out)
	var tok *text.Tokenizer
	for dec := json.NewDecoder(in); ; {
		var r request
		if err := dec.Decode(&r); err != nil {
			return
		}
		var answer any
		var err error
		o := text.EncodeOptions{NoSpecialTokens: r.NoSpecial, Overflow: true}
		switch {
		case r.Open != "":
			tok, err = text.Open(os.DirFS(r.Open))
			if err == nil {
				answer = tok.VocabSize()
			}
		case tok == nil:
			err = fmt.Errorf("nothing is open")
		case r.Batch != nil:
			var list []text.Encoding
			list, err = tok.EncodeBatch(r.Batch, o)
			all := []encoding{}
			for _, e := range list {
				all = append(all, convert(e))
			}
			answer = all
		case r.IDs != nil:
			answer, err = tok.Decode(r.IDs, r.Skip)
		default:
			var e text.Encoding
			if r.Pair != nil {
				e, err = tok.EncodePair(*r.Text, *r.Pair, o)
			} else {
				e, err = tok.Encode(*r.Text, o)
			}
			answer = convert(e)
		}
		if err != nil {
			answer = map[string]string{"error": err.Error()}
		}
		if err := enc.Encode(answer); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
