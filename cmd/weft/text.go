package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/seed-512d3d71/weft"
	"github.com/seed-512d3d71/weft/safetensors"
	"github.com/seed-512d3d71/weft/tensor"
	"github.com/seed-512d3d71/weft/text"
)

// maxLine bounds one line of a JSONL file, in bytes.
const maxLine = 1 << 28

// jsonLines calls f with every non-empty line of a JSONL file; "-" is stdin.
func (c *call) jsonLines(path string, f func(line int, raw []byte) error) error {
	var r io.Reader = c.stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		r = file
	}
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 1<<16), maxLine)
	n := 0
	for s.Scan() {
		n++
		if len(bytes.TrimSpace(s.Bytes())) == 0 {
			continue
		}
		if err := f(n, s.Bytes()); err != nil {
			return fmt.Errorf("%s:%d: %w", path, n, err)
		}
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// encoding is one line of tokenize --json.
type encoding struct {
	InputIDs      []int    `json:"input_ids"`
	Tokens        []string `json:"tokens"`
	Offsets       [][2]int `json:"offsets"`
	TypeIDs       []int    `json:"token_type_ids"`
	AttentionMask []int    `json:"attention_mask"`
}

func runTokenize(ctx context.Context, c *call) error {
	file := c.String("text-file", "", "JSONL `file`: a string or an array of two strings a line; - is stdin")
	var o text.EncodeOptions
	c.BoolVar(&o.NoSpecialTokens, "no-special-tokens", false, "leave out special tokens")
	c.BoolVar(&o.NoTruncation, "no-truncation", false, "do not truncate")
	c.BoolVar(&o.NoPadding, "no-padding", false, "do not pad")
	if err := c.parseNone(); err != nil {
		return err
	}
	if err := c.need("model", "text-file"); err != nil {
		return err
	}
	tok, err := weft.OpenTokenizer(c.model)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(c.stdout)
	err = c.jsonLines(*file, func(_ int, raw []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		enc, err := encodeLine(tok, raw, o)
		if err != nil {
			return err
		}
		if !c.json {
			_, err = fmt.Fprintln(w, enc.Tokens)
			return err
		}
		return writeJSON(w, encoding{orEmpty(enc.IDs), orEmpty(enc.Tokens), orEmpty(enc.Offsets), orEmpty(enc.TypeIDs), orEmpty(enc.AttentionMask)})
	})
	if err != nil {
		return err
	}
	return w.Flush()
}

func encodeLine(tok *text.Tokenizer, raw []byte, o text.EncodeOptions) (text.Encoding, error) {
	var one string
	if err := json.Unmarshal(raw, &one); err == nil {
		return tok.Encode(one, o)
	}
	var pair []string
	if err := json.Unmarshal(raw, &pair); err != nil || len(pair) != 2 {
		return text.Encoding{}, fmt.Errorf("neither a JSON string nor an array of two")
	}
	return tok.EncodePair(pair[0], pair[1], o)
}

// writeJSON writes v on one line without escaping <, > and &.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// orEmpty makes a nil slice print as [] instead of null.
func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func runDetokenize(ctx context.Context, c *call) error {
	file := c.String("ids-file", "", "JSONL `file`: an array of ids a line; - is stdin")
	skip := c.Bool("skip-special-tokens", false, "leave out special tokens")
	if err := c.parseNone(); err != nil {
		return err
	}
	if err := c.need("model", "ids-file"); err != nil {
		return err
	}
	tok, err := weft.OpenTokenizer(c.model)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(c.stdout)
	err = c.jsonLines(*file, func(_ int, raw []byte) error {
		var ids []int
		if err := json.Unmarshal(raw, &ids); err != nil {
			return fmt.Errorf("not a JSON array of ids: %w", err)
		}
		s, err := tok.Decode(ids, *skip)
		if err != nil {
			return err
		}
		if !c.json {
			_, err = fmt.Fprintln(w, s)
			return err
		}
		return writeJSON(w, s)
	})
	if err != nil {
		return err
	}
	return w.Flush()
}

func runEmbed(ctx context.Context, c *call) error {
	file := c.String("text-file", "", "JSONL `file` of sentences, one JSON string a line; - is stdin")
	out := c.String("out", "", "safetensors `file` to write: embeddings [N, D]")
	sentences, err := c.parse()
	if err != nil {
		return err
	}
	if err := c.need("model"); err != nil {
		return err
	}
	if (*file == "") == (len(sentences) == 0) {
		return usagef("give either --text-file or sentences")
	}
	if *file != "" {
		err = c.jsonLines(*file, func(_ int, raw []byte) error {
			var s string
			if err := json.Unmarshal(raw, &s); err != nil {
				return fmt.Errorf("not a JSON string: %w", err)
			}
			sentences = append(sentences, s)
			return nil
		})
		if err != nil {
			return err
		}
	}
	e, err := weft.OpenEmbedder(c.model, c.options()...)
	if err != nil {
		return err
	}
	vectors, err := c.embed(ctx, e, sentences)
	if err != nil {
		return err
	}
	if *out != "" {
		return safetensors.WriteFile(*out, []safetensors.Entry{
			safetensors.F32Entry("embeddings", vectors.F32(), vectors.Shape()...),
		}, nil)
	}
	if c.json {
		return writeJSON(c.stdout, rowsOf(vectors))
	}
	printSimilarities(c.stdout, sentences, vectors)
	return nil
}

// embed embeds sentences, some at a time so that progress can be shown.
func (c *call) embed(ctx context.Context, e *weft.Embedder, sentences []string) (tensor.Tensor, error) {
	const group = 512
	show, clear := c.progress("sentences")
	defer clear()
	all := make([]float32, 0, len(sentences)*e.Dim())
	for at := 0; at < len(sentences); at += group {
		vectors, err := e.Embed(ctx, sentences[at:min(at+group, len(sentences))])
		if err != nil {
			return tensor.Tensor{}, fmt.Errorf("sentences from %d on: %w", at, err)
		}
		all = append(all, vectors.F32()...)
		show(at+vectors.Rows(), len(sentences))
	}
	return tensor.FromF32(all, len(sentences), e.Dim()), nil
}

func rowsOf(t tensor.Tensor) [][]float32 {
	rows := make([][]float32, t.Rows())
	for i := range rows {
		rows[i] = t.F32()[i*t.LD():][:t.Cols()]
	}
	return rows
}

// printSimilarities prints the cosine of every pair of sentences.
func printSimilarities(w io.Writer, sentences []string, vectors tensor.Tensor) {
	rows := rowsOf(vectors)
	fmt.Fprintf(w, "%d sentences, %d dimensions; cosine similarities:\n", len(rows), vectors.Cols())
	for i, s := range sentences {
		fmt.Fprintf(w, "%3d ", i+1)
		for j := range rows {
			fmt.Fprintf(w, " %6.3f", cosine(rows[i], rows[j]))
		}
		fmt.Fprintf(w, "  %s\n", s)
	}
}
