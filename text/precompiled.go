package text

import (
	"encoding/base64"
	"encoding/binary"
	"unicode/utf8"

	"github.com/seed-512d3d71/weft/text/internal/uni"
)

// precompiled is a sentencepiece charsmap: a double-array trie (darts-clone)
// from byte strings to offsets in a list of replacements, each ended by a zero byte.
type precompiled struct {
	units []uint32
	texts string
}

func parsePrecompiled(r *fieldReader) (normalizer, error) {
	s := r.str("precompiled_charsmap")
	if r.err != nil {
		return nil, r.err
	}
	v := r.o.get("precompiled_charsmap")
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, v.errorf("not base64: %w", err)
	}
	if len(b) < 4 {
		return nil, v.errorf("%d bytes are too few", len(b))
	}
	size := int64(binary.LittleEndian.Uint32(b)) &^ 3
	if size > int64(len(b)-4) || size == 0 {
		return nil, v.errorf("trie of %d bytes in %d", size, len(b)-4)
	}
	p := &precompiled{units: make([]uint32, size/4), texts: string(b[4+size:])}
	for i := range p.units {
		p.units[i] = binary.LittleEndian.Uint32(b[4+4*i:])
	}
	if !utf8.ValidString(p.texts) {
		return nil, v.errorf("replacements are not UTF-8")
	}
	return p, nil
}

func unitOffset(u uint32) int { return int(u>>10) << (u & (1 << 9) >> 6) }

// find returns the replacement of the shortest prefix of s that has one. (The
// shortest, not the longest: the library's way, which models were trained with.)
func (p *precompiled) find(s string) (string, bool) {
	at := unitOffset(p.units[0])
	for i := 0; i < len(s) && s[i] != 0; i++ {
		at ^= int(s[i])
		if at >= len(p.units) {
			return "", false
		}
		u := p.units[at]
		if u&(1<<31|0xFF) != uint32(s[i]) {
			return "", false
		}
		at ^= unitOffset(u)
		if u>>8&1 == 0 {
			continue
		}
		if at >= len(p.units) {
			return "", false
		}
		start := int(p.units[at] & (1<<31 - 1))
		if start > len(p.texts) || start < len(p.texts) && !utf8.RuneStart(p.texts[start]) {
			return "", false
		}
		end := start
		for end < len(p.texts) && p.texts[end] != 0 {
			end++
		}
		return p.texts[start:end], true
	}
	return "", false
}

func (p *precompiled) normalize(n *normalized) {
	e := newEditor(n)
	for i := 0; i < len(n.text); {
		size := uni.NextGrapheme(n.text[i:])
		cluster := n.text[i : i+size]
		i += size
		if size < 6 {
			if to, ok := p.find(cluster); ok {
				e.rewrite(cluster, to)
				continue
			}
		}
		for j, r := range cluster {
			part := cluster[j : j+utf8.RuneLen(r)]
			if to, ok := p.find(part); ok {
				e.rewrite(part, to)
			} else {
				e.keep(r)
			}
		}
	}
	n.apply(&e, 0)
}

// rewrite puts to in place of old.
func (e *editor) rewrite(old, to string) {
	e.changed = true
	for _, r := range to {
		e.keep(r)
	}
	diff := runeLen(to) - runeLen(old)
	for k := len(e.edits) - 1; diff > 0 && k >= 0; k, diff = k-1, diff-1 {
		e.edits[k].change = 1
	}
	if k := len(e.edits); diff < 0 && k > 0 {
		e.edits[k-1].change += int32(diff)
	}
}
