package text

import (
	"slices"

	"github.com/seed-512d3d71/weft/text/internal/uni"
)

// decompose returns the edits that bring text into NFD or NFKD. A character's
// first part replaces it and the others are inserted, before the marks are put
// in canonical order.
func decompose(text string, compat bool) editor {
	e := editor{edits: make([]edit, 0, len(text))}
	var buf [32]rune
	pending := 0 // where the run of marks not yet in order begins
	order := func() {
		if run := e.edits[pending:]; len(run) > 1 {
			slices.SortStableFunc(run, func(a, b edit) int { return int(uni.CCC(a.r)) - int(uni.CCC(b.r)) })
		}
		pending = len(e.edits)
	}
	for _, r := range text {
		for i, d := range uni.Decompose(r, compat, buf[:0]) {
			if uni.CCC(d) == 0 {
				order()
			}
			change := int32(1)
			if i == 0 {
				change = 0
			}
			e.edits = append(e.edits, edit{d, change})
		}
	}
	order()
	return e
}

// compose joins the characters of a decomposed text into primary composites, in
// place. A composite takes over the counts of its parts.
func compose(edits []edit) []edit {
	out := edits[:0]
	starter := -1  // index in out of the character that marks may join
	lastClass := 0 // class of the last mark that did not join; 0 for none
	for _, e := range edits {
		class := int(uni.CCC(e.r))
		if starter < 0 {
			if class == 0 {
				starter = len(out)
			}
			out = append(out, e)
			continue
		}
		if lastClass == 0 || lastClass < class {
			if c, ok := uni.Compose(out[starter].r, e.r); ok {
				out[starter] = edit{c, out[starter].change + e.change - 1}
				continue
			}
		}
		if class == 0 {
			starter, lastClass = len(out), 0
		} else {
			lastClass = class
		}
		out = append(out, e)
	}
	return out
}
