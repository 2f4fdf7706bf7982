package text

import (
	"unicode/utf8"

	"github.com/seed-512d3d71/weft/text/internal/uni"
)

// postProcessor finishes the encodings of one text or two: special tokens,
// type ids, offsets. It may return more parts than it got; they are then joined.
type postProcessor interface {
	added(pair bool) int // how many special tokens it adds
	process(parts []Encoding, special bool) ([]Encoding, error)
}

func parsePostProcessor(v value, depth int) (postProcessor, error) {
	r := read(v)
	kind := r.kind()
	if r.err != nil {
		return nil, r.err
	}
	if depth > maxNesting {
		return nil, v.errorf("nested deeper than %d", maxNesting)
	}
	if kind == "" {
		switch {
		case r.o.has("single"):
			kind = "TemplateProcessing"
		case r.o.has("trim_offsets") && r.o.has("cls"):
			kind = "RobertaProcessing"
		case r.o.has("cls"):
			kind = "BertProcessing"
		}
	}
	switch kind {
	case "BertProcessing":
		p := bertProcessing{cls: field(r, "cls", parseTokenID), sep: field(r, "sep", parseTokenID)}
		return p, r.err
	case "RobertaProcessing":
		p := robertaProcessing{
			cls: field(r, "cls", parseTokenID), sep: field(r, "sep", parseTokenID),
			trim: r.bool("trim_offsets"), addPrefixSpace: r.bool("add_prefix_space"),
		}
		return p, r.err
	case "ByteLevel":
		r.boolOr("use_regex", true)
		p := byteLevelProcessing{addPrefixSpace: r.bool("add_prefix_space"), trim: r.bool("trim_offsets")}
		return p, r.err
	case "TemplateProcessing":
		return parseTemplate(r)
	case "Sequence":
		seq, err := sequence(r, "processors", depth, parsePostProcessor)
		return postProcessors(seq), err
	}
	return nil, unsupported(v, "post_processor", kind)
}

// tokenID is ["[CLS]", 101].
type tokenID struct {
	token string
	id    int
}

func parseTokenID(v value) (t tokenID, err error) {
	n := 0
	err = v.each(func(i int, e value) (err error) {
		switch n++; i {
		case 0:
			t.token, err = e.str()
		case 1:
			t.id, err = e.integer()
		}
		return err
	})
	if err == nil && n != 2 {
		err = v.errorf("want a token and its id")
	}
	return t, err
}

func (t tokenID) addTo(e *Encoding, typeID int) {
	e.add(t.id, t.token, [2]int{}, typeID, 1, 1, NoWord)
}

// postProcessors is a Sequence.
type postProcessors []postProcessor

func (s postProcessors) added(pair bool) (n int) {
	for _, p := range s {
		n += p.added(pair)
	}
	return n
}

func (s postProcessors) process(parts []Encoding, special bool) (_ []Encoding, err error) {
	for _, p := range s {
		if parts, err = p.process(parts, special); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

// surround puts special tokens round each part and its overflowing windows.
func surround(parts []Encoding, f func(i int, e *Encoding) Encoding) []Encoding {
	out := make([]Encoding, len(parts))
	for i := range parts {
		out[i] = f(i, &parts[i])
		for j := range parts[i].Overflowing {
			out[i].Overflowing = append(out[i].Overflowing, f(i, &parts[i].Overflowing[j]))
		}
	}
	return out
}

// plain resets the masks, which a processor before this one may have set.
func plain(e *Encoding) *Encoding {
	for i := range e.AttentionMask {
		e.AttentionMask[i], e.SpecialTokensMask[i] = 1, 0
	}
	return e
}

// bertProcessing makes [CLS] A [SEP] and [CLS] A [SEP] B [SEP].
type bertProcessing struct{ cls, sep tokenID }

func (p bertProcessing) added(pair bool) int {
	if pair {
		return 3
	}
	return 2
}

func (p bertProcessing) process(parts []Encoding, special bool) ([]Encoding, error) {
	if !special {
		return parts, nil
	}
	return surround(parts, func(i int, e *Encoding) (out Encoding) {
		out.grow(e.Len() + 2)
		if i == 0 {
			p.cls.addTo(&out, 0)
		}
		out.appendTokens(plain(e))
		p.sep.addTo(&out, min(i, 1))
		return out
	}), nil
}

// robertaProcessing makes <s> A </s> and <s> A </s></s> B </s>, all of type 0.
type robertaProcessing struct {
	cls, sep             tokenID
	trim, addPrefixSpace bool
}

func (p robertaProcessing) added(pair bool) int {
	if pair {
		return 4
	}
	return 2
}

func (p robertaProcessing) process(parts []Encoding, special bool) ([]Encoding, error) {
	if p.trim {
		trimAll(parts, p.addPrefixSpace)
	}
	for i := range parts {
		clear(parts[i].TypeIDs)
	}
	if !special {
		return parts, nil
	}
	return surround(parts, func(i int, e *Encoding) (out Encoding) {
		out.grow(e.Len() + 2)
		first := p.cls
		if i > 0 {
			first = p.sep
		}
		first.addTo(&out, 0)
		out.appendTokens(plain(e))
		p.sep.addTo(&out, 0)
		clear(out.TypeIDs)
		return out
	}), nil
}

// byteLevelProcessing takes the white space that byte-level tokens carry out of
// their offsets.
type byteLevelProcessing struct{ addPrefixSpace, trim bool }

func (p byteLevelProcessing) added(bool) int { return 0 }

func (p byteLevelProcessing) process(parts []Encoding, special bool) ([]Encoding, error) {
	if p.trim {
		trimAll(parts, p.addPrefixSpace)
	}
	return parts, nil
}

func trimAll(parts []Encoding, addPrefixSpace bool) {
	for i := range parts {
		trimOffsets(&parts[i], addPrefixSpace)
		for j := range parts[i].Overflowing {
			trimOffsets(&parts[i].Overflowing[j], addPrefixSpace)
		}
	}
}

func trimOffsets(e *Encoding, addPrefixSpace bool) {
	space := func(r rune) bool { return r == byteRunes[' '] || uni.IsWhitespace(r) }
	for i, t := range e.Tokens {
		lead, trail := 0, 0
		for _, r := range t {
			if !space(r) {
				break
			}
			lead++
		}
		for rest := t; rest != ""; trail++ {
			r, n := utf8.DecodeLastRuneInString(rest)
			if !space(r) {
				break
			}
			rest = rest[:len(rest)-n]
		}
		o := &e.Offsets[i]
		if lead > 0 {
			if (i == 0 || o[0] == 0) && addPrefixSpace && lead == 1 {
				lead = 0 // the space that was put in front
			}
			o[0] = min(o[0]+lead, o[1])
		}
		if trail > 0 && o[1] >= trail {
			o[1] = max(o[1]-trail, o[0])
		}
	}
}

// templatePiece is a text or a special token of a template.
type templatePiece struct {
	sequence int // 0 or 1; -1 for a special token
	special  []tokenID
	typeID   int
}

// templateProcessing lays texts and special tokens out as templates say.
type templateProcessing struct{ single, pair []templatePiece }

func parseTemplate(r *fieldReader) (postProcessor, error) {
	tokens := map[string][]tokenID{}
	specials := field(r, "special_tokens", func(v value) (value, error) { return v, nil })
	if r.err != nil {
		return nil, r.err
	}
	err := specials.members(func(key string, raw []byte) error {
		t := read(specials.child(raw, key))
		ids := field(t, "ids", parseIDs)
		texts := field(t, "tokens", parseStrings)
		if t.err != nil {
			return t.err
		}
		if len(ids) != len(texts) {
			return t.o.errorf("%d ids and %d tokens", len(ids), len(texts))
		}
		list := make([]tokenID, len(ids))
		for i := range list {
			list[i] = tokenID{texts[i], ids[i]}
		}
		tokens[key] = list
		return nil
	})
	if err != nil {
		return nil, err
	}
	pieces := func(texts int) func(v value) ([]templatePiece, error) {
		return func(v value) (out []templatePiece, err error) {
			err = v.each(func(_ int, e value) error {
				p, err := parseTemplatePiece(e, tokens)
				if err == nil && p.sequence >= texts {
					err = e.errorf("the second text in a template for one")
				}
				out = append(out, p)
				return err
			})
			return out, err
		}
	}
	p := &templateProcessing{single: field(r, "single", pieces(1)), pair: field(r, "pair", pieces(2))}
	return p, r.err
}

func parseIDs(v value) (ids []int, err error) {
	err = v.each(func(_ int, e value) error {
		id, err := e.integer()
		ids = append(ids, id)
		return err
	})
	return ids, err
}

func parseStrings(v value) (list []string, err error) {
	err = v.each(func(_ int, e value) error {
		s, err := e.str()
		list = append(list, s)
		return err
	})
	return list, err
}

// parseTemplatePiece reads {"Sequence": {"id": "A", "type_id": 0}} or {"SpecialToken": …}.
func parseTemplatePiece(v value, tokens map[string][]tokenID) (templatePiece, error) {
	o, err := v.fields()
	if err != nil {
		return templatePiece{}, err
	}
	if raw, ok := o.m["SpecialToken"]; ok {
		r := read(o.child(raw, "SpecialToken"))
		id := r.str("id")
		p := templatePiece{-1, tokens[id], r.int("type_id")}
		if _, ok := tokens[id]; !ok && r.err == nil {
			return p, r.o.errorf("%q is not among special_tokens", id)
		}
		return p, r.err
	}
	if raw, ok := o.m["Sequence"]; ok {
		r := read(o.child(raw, "Sequence"))
		id := r.str("id")
		p := templatePiece{0, nil, r.int("type_id")}
		switch {
		case r.err != nil:
			return p, r.err
		case id == "B":
			p.sequence = 1
		case id != "A":
			return p, r.o.errorf("want A or B, not %q", id)
		}
		return p, nil
	}
	return templatePiece{}, v.errorf("want Sequence or SpecialToken")
}

func (p *templateProcessing) added(pair bool) (n int) {
	pieces := p.single
	if pair {
		pieces = p.pair
	}
	for _, t := range pieces {
		n += len(t.special)
	}
	return n
}

func (p *templateProcessing) process(parts []Encoding, special bool) ([]Encoding, error) {
	pieces := p.single
	switch len(parts) {
	case 1:
	case 2:
		pieces = p.pair
	default:
		return nil, errTooManyParts
	}
	var out []Encoding
	for _, t := range pieces {
		if t.sequence < 0 {
			if special {
				var e Encoding
				for _, tok := range t.special {
					tok.addTo(&e, t.typeID)
				}
				out = append(out, e)
			}
			continue
		}
		e := parts[t.sequence].window(0, parts[t.sequence].Len())
		e.Overflowing = parts[t.sequence].Overflowing
		for i := range e.TypeIDs {
			e.TypeIDs[i] = t.typeID
		}
		out = append(out, e)
	}
	return out, nil
}
