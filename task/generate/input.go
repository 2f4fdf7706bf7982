package generate

import (
	"slices"

	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

// prompts takes the input of a decoder and strips its padding.
func (s *search) prompts(in nn.Inputs) error {
	if in.Has("position_ids") || in.Has("token_type_ids") {
		return nn.Unsupported("generation from position_ids or token_type_ids")
	}
	if in.Has("inputs_embeds") {
		return s.embeds(in)
	}
	if err := in.Known("input_ids", "attention_mask"); err != nil {
		return err
	}
	b, t, err := s.takeIDs(in, "input_ids")
	if err != nil {
		return err
	}
	mask, err := in.Mask("attention_mask", b, t)
	if err != nil {
		return err
	}
	given := mask != nil
	if !given {
		mask = s.maskOfPadding()
	}
	s.pads = make([]int, b)
	for i, ids := range s.ids {
		if mask == nil {
			s.prompt.IDs = append(s.prompt.IDs, ids)
			continue
		}
		visible := mask[i*t : (i+1)*t]
		s.pads[i] = max(0, slices.Index(visible, 1))
		var kept []int32
		for j, id := range ids {
			if visible[j] != 0 {
				kept = append(kept, id)
			}
		}
		if len(kept) == 0 {
			return nn.InputError("attention_mask", "prompt %d is empty", i)
		}
		if visible[t-1] == 0 {
			return nn.InputError("attention_mask", "prompt %d is padded on the right; a decoder wants padding on the left", i)
		}
		if s.info.Windowed && len(kept) < t-s.pads[i] {
			// Hugging Face's window counts hidden tokens too.
			return nn.Unsupported("prompt %d hides tokens between others, and attention has a window", i)
		}
		s.prompt.IDs = append(s.prompt.IDs, kept)
	}
	return nil
}

// embeds takes the input of a decoder given as vectors [B, T, C]. The sequences
// hold new tokens only, as Hugging Face returns them.
func (s *search) embeds(in nn.Inputs) error {
	const name = "inputs_embeds"
	if in.Has("input_ids") {
		return nn.Unsupported("generation from inputs_embeds beside input_ids")
	}
	if err := in.Known(name, "attention_mask"); err != nil {
		return err
	}
	x, err := in.F32(name, -1, -1, -1)
	if err != nil {
		return err
	}
	b, t, c := x.Dim(0), x.Dim(1), x.Dim(2)
	if b == 0 || t == 0 || c == 0 {
		return nn.InputError(name, "shape %v: an empty prompt", x.Shape())
	}
	mask, err := in.Mask("attention_mask", b, t)
	if err != nil {
		return err
	}
	s.given, s.ids, s.pads = t, make([][]int32, b), make([]int, b)
	for i := range b {
		from := 0
		if mask != nil {
			row := mask[i*t : (i+1)*t]
			if from = slices.Index(row, 1); from < 0 || slices.Contains(row[from:], 0) {
				return nn.InputError("attention_mask", "row %d hides vectors elsewhere than on the left", i)
			}
		}
		rows := x.F32()[(i*t+from)*c : (i+1)*t*c]
		s.prompt.Embeds = append(s.prompt.Embeds, tensor.FromF32(rows, t-from, c))
	}
	return nil
}

// takeIDs reads the prompts' ids [B, T].
func (s *search) takeIDs(in nn.Inputs, name string) (b, t int, err error) {
	ids, err := in.IDs(name, s.info.VocabSize, -1, -1)
	if err != nil {
		return 0, 0, err
	}
	b, t = in[name].Dim(0), in[name].Dim(1)
	if b == 0 || t == 0 {
		return 0, 0, nn.InputError(name, "shape %v: an empty prompt", in[name].Shape())
	}
	s.start = t
	for i := range b {
		s.ids = append(s.ids, ids[i*t:(i+1)*t:(i+1)*t])
	}
	return b, t, nil
}

// maskOfPadding hides the padding tokens in prompts that came without a mask,
// if they cannot be taken for ends; nil if there are none.
func (s *search) maskOfPadding() []int64 {
	if s.pad < 0 || slices.Contains(s.Config.EOSTokenID, s.pad) {
		return nil
	}
	found := false
	mask := make([]int64, 0, len(s.ids)*s.start)
	for _, ids := range s.ids {
		for _, id := range ids {
			if int(id) == s.pad {
				mask, found = append(mask, 0), true
			} else {
				mask = append(mask, 1)
			}
		}
	}
	if !found {
		return nil
	}
	return mask
}

// encoderPrompts takes the input of an encoder-decoder model and returns the
// ids that the encoder reads, if it reads ids.
func (s *search) encoderPrompts(in nn.Inputs) ([][]int32, error) {
	main, ok := in[s.info.Input]
	if !ok || main.Rank() == 0 {
		return nil, nn.InputError(s.info.Input, "missing")
	}
	s.prompt.Inputs = nn.Inputs{}
	for k, v := range in {
		if k != "decoder_input_ids" {
			s.prompt.Inputs[k] = v
		}
	}
	b := main.Dim(0)
	start := s.Config.DecoderStartTokenID
	if start < 0 {
		start = s.Config.BOSTokenID
	}
	if start < 0 || start >= s.info.VocabSize {
		return nil, nn.InputError("decoder_start_token_id", "%d, want 0 … %d", start, s.info.VocabSize-1)
	}
	if in.Has("decoder_input_ids") {
		if n, _, err := s.takeIDs(in, "decoder_input_ids"); err != nil {
			return nil, err
		} else if n != b {
			return nil, nn.InputError("decoder_input_ids", "%d rows, want %d", n, b)
		}
		begun := slices.ContainsFunc(s.ids, func(ids []int32) bool { return int(ids[0]) == start })
		if !begun {
			for i, ids := range s.ids {
				s.ids[i] = append([]int32{int32(start)}, ids...)
			}
			s.start++
		}
	} else {
		s.start = 1
		for range b {
			s.ids = append(s.ids, []int32{int32(start)})
		}
	}
	s.prompt.IDs, s.pads = s.ids, make([]int, b)
	if main.DType() != tensor.I64 || main.Rank() != 2 {
		return nil, nil
	}
	var encoder [][]int32
	n := main.Dim(1)
	for i := range b {
		ids := make([]int32, n)
		for j := range ids {
			ids[j] = int32(main.I64()[i*n+j])
		}
		encoder = append(encoder, ids)
	}
	return encoder, nil
}

// limits sets maxLength as Hugging Face does, and checks it.
func (s *search) limits() error {
	c := &s.Config
	key := "max_length"
	switch {
	case c.MaxNewTokens >= 0:
		key, s.maxLength = "max_new_tokens", s.start+c.MaxNewTokens
	case c.MaxLength >= 0:
		s.maxLength = c.MaxLength - s.given
	default: // 20 new tokens
		s.maxLength = s.start + 20
		if limit := s.info.MaxPositions; limit > 0 {
			s.maxLength = min(s.maxLength, limit)
		}
	}
	longest := 0
	for i := range s.prompt.Sequences() {
		longest = max(longest, s.prompt.Len(i))
	}
	limit := s.info.MaxPositions
	if s.info.Longer {
		limit = 0
	}
	if limit > 0 && longest > limit {
		return nn.InputError("input_ids", "a prompt of %d tokens; the model has %d positions", longest, limit)
	}
	if s.start >= s.maxLength {
		return nn.InputError(key, "%d, and the prompt has %d tokens already", s.maxLength+s.given, s.start+s.given)
	}
	// The last token is not fed back, so it needs no position.
	if need := longest + s.maxLength - s.start - 1; limit > 0 && need > limit {
		return nn.InputError(key, "%d new tokens after a prompt of %d need %d positions; the model has %d",
			s.maxLength-s.start, longest, need, limit)
	}
	return nil
}
