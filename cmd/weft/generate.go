package main

import (
	"context"
	"strings"

	"github.com/seed-512d3d71/weft"
	"github.com/seed-512d3d71/weft/audio"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/task/transcribe"
)

// generated is what generate prints.
type generated struct {
	Sequences [][]int  `json:"sequences"`
	Texts     []string `json:"texts,omitempty"`
}

// runGenerate prints token ids and their texts. Of a CTC model these are the
// best symbol of every frame; models that generate token by token are not
// supported yet.
func runGenerate(ctx context.Context, c *call) error {
	set := settings{}
	in := c.String("in", "", "safetensors `file` of the inputs, named as forward()'s arguments")
	sentence := c.String("text", "", "prompt")
	picture := c.String("image", "", "picture `file`")
	sound := c.String("audio", "", "sound `file`")
	c.Int("max-new-tokens", 0, "tokens to generate at most; 0: as generation_config.json says")
	c.Bool("greedy", false, "take the best token at each step")
	beams := c.Int("num-beams", 0, "beams to search with")
	c.Var(set, "set", "`KEY=VALUE` of generation_config.json; repeatable")
	if err := c.parseNone(); err != nil {
		return err
	}
	if err := c.need("model"); err != nil {
		return err
	}
	m, err := c.open(c.model)
	if err != nil {
		return err
	}
	defer m.Close()
	if !strings.HasSuffix(m.Class(), "ForCTC") {
		return nn.Unsupported("generate with %s", m.Class())
	}
	if len(set) > 0 || *beams > 1 || *sentence != "" || *picture != "" {
		return nn.Unsupported("--set, --num-beams, --text and --image with a CTC model")
	}
	if (*in == "") == (*sound == "") {
		return usagef("give either --in or --audio")
	}
	var out weft.Outputs
	if *in != "" {
		inputs, err := readInputs(*in)
		if err != nil {
			return err
		}
		if out, err = m.Run(ctx, inputs, weft.RunOptions{}); err != nil {
			return err
		}
	} else {
		clip, err := audio.Open(*sound)
		if err != nil {
			return err
		}
		if out, err = m.EncodeAudio(ctx, clip); err != nil {
			return err
		}
	}
	var g generated
	if g.Sequences, err = transcribe.Frames(out.Get("logits")); err != nil {
		return err
	}
	if m.HasTokenizer() {
		tok, err := m.Tokenizer()
		if err != nil {
			return err
		}
		for _, ids := range g.Sequences {
			s, err := tok.Decode(ids, false)
			if err != nil {
				return err
			}
			g.Texts = append(g.Texts, s)
		}
	}
	return writeJSON(c.stdout, g)
}
