package text

import (
	"cmp"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-512d3d71/weft/text/internal/onig"
	"github.com/seed-512d3d71/weft/text/internal/uni"
)

// The tokenizers of directories without a tokenizer.json, put together as
// transformers puts them together from the older files.

// readAdded reads the tokens that were added to the vocabulary: the
// added_tokens_decoder of tokenizer_config.json, else added_tokens.json.
func (c *config) readAdded(dir fs.FS, read func(string) (object, error)) error {
	type numbered struct {
		id int
		t  AddedToken
	}
	var list []numbered
	if c.o.has("added_tokens_decoder") {
		v := c.o.get("added_tokens_decoder")
		err := v.members(func(key string, raw []byte) error {
			id, err := strconv.ParseUint(key, 10, 31)
			if err != nil {
				return v.child(raw, key).errorf("the key is no id")
			}
			t, err := parseAddedToken(v.child(raw, key))
			list = append(list, numbered{int(id), t})
			return err
		})
		if err != nil {
			return err
		}
	} else {
		o, err := read("added_tokens.json")
		if err != nil || o.m == nil {
			return err
		}
		for key, raw := range o.m {
			id, err := o.child(raw, strconv.Quote(key)).integer()
			if err != nil {
				return err
			}
			list = append(list, numbered{id, AddedToken{Content: key, Normalized: true}})
		}
	}
	slices.SortFunc(list, func(a, b numbered) int { return cmp.Compare(a.id, b.id) })
	for _, n := range list {
		c.added = append(c.added, n.t)
	}
	return nil
}

// role returns a special token's text.
func (c *config) role(name, def string) string {
	if t, ok := c.roles[name]; ok {
		return t.Content
	}
	if _, ok := c.o.m[name]; ok { // null: no such token
		return ""
	}
	c.roles[name] = AddedToken{Content: def, Special: true}
	return def
}

// register adds the tokens of the config to t: first those that were added by
// hand, then the special ones.
func (c *config) register(t *Tokenizer) {
	list := slices.Clone(c.added)
	named := map[string]bool{}
	for _, r := range c.roles {
		named[r.Content] = true
	}
	for _, e := range c.extra {
		named[e.Content] = true
	}
	have := map[string]bool{}
	for i := range list {
		list[i].Special = list[i].Special || named[list[i].Content]
		have[list[i].Content] = true
	}
	for _, role := range roles {
		if r, ok := c.roles[role]; ok && r.Content != "" && !have[r.Content] {
			r.Special = true
			have[r.Content] = true
			list = append(list, r)
		}
	}
	for _, e := range c.extra {
		if !have[e.Content] {
			have[e.Content] = true
			list = append(list, e)
		}
	}
	t.setAdded(list)
}

// specialPiece returns a template's special token.
func (t *Tokenizer) specialPiece(token string, typeID int) templatePiece {
	id, _ := t.TokenToID(token)
	return templatePiece{-1, []tokenID{{token, id}}, typeID}
}

func (c *config) boolOr(key string, def bool) (bool, error) {
	r := fieldReader{o: c.o}
	b := r.boolOr(key, def)
	return b, r.err
}

// bertClasses are the tokenizer classes that are BERT's own under other names.
var bertClasses = []string{"", "Bert", "DistilBert", "Electra", "MobileBert", "Lxmert", "ConvBert", "SqueezeBert", "LayoutLM", "Retribert", "DPRContextEncoder", "DPRQuestionEncoder", "PreTrained"}

// modelClasses are the tokenizers of model types, where tokenizer_config.json
// names no class and the files alone do not tell.
var modelClasses = map[string]string{
	"roberta": "Roberta", "bart": "Roberta", "longformer": "Roberta", "bridgetower": "Roberta", "data2vec-text": "Roberta",
	"clip": "CLIP", "clipseg": "CLIP", "owlvit": "CLIP", "owlv2": "CLIP", "groupvit": "CLIP",
	"mpnet": "MPNet", "funnel": "Funnel", "roformer": "RoFormer", "luke": "Luke", "mvp": "Mvp", "deberta": "Deberta", "whisper": "Whisper",
}

// inferClass looks into config.json for the class that is not named, as
// transformers' AutoTokenizer does.
func (c *config) inferClass(dir fs.FS) error {
	if c.class != "" || !exists(dir, "config.json") {
		return nil
	}
	b, err := readFile(dir, "config.json", maxConfigJSON)
	if err != nil {
		return err
	}
	v, err := parseJSON("config.json", b)
	if err != nil {
		return err
	}
	r := read(v)
	c.class = modelClasses[r.strOr("model_type", "")]
	return r.err
}

// isClass tells whether tokenizer_class is one of names, "Tokenizer" or
// "TokenizerFast" left off.
func (c *config) isClass(names ...string) bool {
	name := strings.TrimSuffix(strings.TrimSuffix(c.class, "Fast"), "Tokenizer")
	return slices.Contains(names, name)
}

func (c *config) unsupportedClass(file string) error {
	return unsupported(value{name: "tokenizer_config.json.tokenizer_class"}, "tokenizer with "+file, c.class)
}

// openWordPiece builds BERT's tokenizer from vocab.txt, a token a line.
func openWordPiece(dir fs.FS, c *config) (*Tokenizer, error) {
	if err := c.inferClass(dir); err != nil {
		return nil, err
	}
	if !c.isClass(bertClasses...) {
		return nil, c.unsupportedClass("vocab.txt")
	}
	b, err := readFile(dir, "vocab.txt", maxTokenizerJSON)
	if err != nil {
		return nil, err
	}
	lower, err := c.boolOr("do_lower_case", true)
	if err != nil {
		return nil, err
	}
	accents, err := c.boolOr("strip_accents", lower)
	if err != nil {
		return nil, err
	}
	chinese, err := c.boolOr("tokenize_chinese_chars", true)
	if err != nil {
		return nil, err
	}
	v := newVocabulary(len(b) / 8)
	text := strings.TrimSuffix(validUTF8(b), "\n")
	for id, line := range strings.Split(text, "\n") {
		v.set(strings.TrimRightFunc(line, uni.IsWhitespace), id)
	}
	m := &wordPiece{vocab: v, unk: c.role("unk_token", "[UNK]"), prefix: "##", maxChars: 100}
	m.prepare()
	t := &Tokenizer{
		model:        m,
		normalizer:   bertNormalizer{cleanText: true, chineseChars: chinese, stripAccents: accents, lowercase: lower},
		preTokenizer: preTokenizers{runeSplit{uni.IsWhitespace, removed}, runeSplit{uni.IsBertPunct, isolated}},
		decoder:      wordPieceDecoder{prefix: "##", cleanup: true},
	}
	sep, cls := c.role("sep_token", "[SEP]"), c.role("cls_token", "[CLS]")
	c.role("pad_token", "[PAD]")
	c.role("mask_token", "[MASK]")
	c.register(t)
	single := []templatePiece{t.specialPiece(cls, 0), {sequence: 0}, t.specialPiece(sep, 0)}
	t.postProcessor = &templateProcessing{
		single: single,
		pair:   append(slices.Clone(single), templatePiece{sequence: 1, typeID: 1}, t.specialPiece(sep, 1)),
	}
	return t, nil
}

// clipPattern is how CLIP splits text into words.
const clipPattern = `<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+`

// openBPE builds GPT-2's, RoBERTa's or CLIP's tokenizer from vocab.json and merges.txt.
func openBPE(dir fs.FS, c *config) (*Tokenizer, error) {
	if err := c.inferClass(dir); err != nil {
		return nil, err
	}
	gpt2 := c.isClass("", "GPT2", "PreTrained")
	roberta := c.isClass("Roberta", "Bart", "Longformer", "LED")
	clip := c.isClass("CLIP")
	if !gpt2 && !roberta && !clip {
		return nil, c.unsupportedClass("vocab.json")
	}
	m, err := readBPE(dir)
	if err != nil {
		return nil, err
	}
	prefix, err := c.boolOr("add_prefix_space", false)
	if err != nil {
		return nil, err
	}
	t := &Tokenizer{model: m, preTokenizer: byteLevel{prefix, true}, decoder: byteLevelDecoder{}}
	id := func(token string) tokenID {
		id, _ := t.TokenToID(token)
		return tokenID{token, id}
	}
	switch {
	case roberta:
		trim, err := c.boolOr("trim_offsets", true)
		if err != nil {
			return nil, err
		}
		c.role("bos_token", "<s>")
		c.role("eos_token", "</s>")
		c.role("unk_token", "<unk>")
		sep := c.role("sep_token", "</s>")
		c.role("pad_token", "<pad>")
		cls := c.role("cls_token", "<s>")
		c.role("mask_token", "<mask>")
		c.register(t)
		t.postProcessor = robertaProcessing{cls: id(cls), sep: id(sep), trim: trim, addPrefixSpace: prefix}
	case clip:
		m.suffix = "</w>"
		m.unk, m.hasUnk = c.role("unk_token", "<|endoftext|>"), true
		spaces, err := onig.Compile(`\s+`)
		if err != nil {
			return nil, err
		}
		words, err := onig.Compile(clipPattern)
		if err != nil {
			return nil, err
		}
		t.normalizer = normalizers{normalForm{compose: true}, replace{spaces, " "}, lowercase{}}
		t.preTokenizer = preTokenizers{regexSplit{words, removed, true}, byteLevel{false, true}}
		t.decoder = clipDecoder{}
		bos, eos := c.role("bos_token", "<|startoftext|>"), c.role("eos_token", "<|endoftext|>")
		c.role("pad_token", "<|endoftext|>")
		c.register(t)
		t.postProcessor = robertaProcessing{cls: id(bos), sep: id(eos)}
	default:
		bos, eos := c.role("bos_token", "<|endoftext|>"), c.role("eos_token", "<|endoftext|>")
		c.role("unk_token", "<|endoftext|>")
		c.register(t)
		addBOS, err := c.boolOr("add_bos_token", false)
		if err != nil {
			return nil, err
		}
		addEOS, err := c.boolOr("add_eos_token", false)
		if err != nil {
			return nil, err
		}
		part := func(typeID int) (out []templatePiece) {
			if addBOS {
				out = append(out, t.specialPiece(bos, typeID))
			}
			out = append(out, templatePiece{sequence: typeID, typeID: typeID})
			if addEOS {
				out = append(out, t.specialPiece(eos, typeID))
			}
			return out
		}
		t.postProcessor = &templateProcessing{single: part(0), pair: append(part(0), part(1)...)}
	}
	return t, nil
}

// readBPE reads vocab.json and merges.txt.
func readBPE(dir fs.FS) (*bpe, error) {
	v, err := readVocabJSON(dir)
	if err != nil {
		return nil, err
	}
	m := &bpe{}
	if m.vocab, err = parseVocabulary(v); err != nil {
		return nil, err
	}
	b, err := readFile(dir, "merges.txt", maxTokenizerJSON)
	if err != nil {
		return nil, err
	}
	file := value{name: "merges.txt"}
	var merges [][2]string
	for i, line := range strings.Split(validUTF8(b), "\n") {
		line = strings.TrimSuffix(line, "\r")
		if line == "" || strings.HasPrefix(line, "#version") {
			continue
		}
		a, b, ok := strings.Cut(line, " ")
		if !ok || strings.Contains(b, " ") {
			return nil, file.errorf("line %d: want two symbols with one space between, not %q", i+1, line)
		}
		merges = append(merges, [2]string{a, b})
	}
	if err := m.prepare(merges); err != nil {
		return nil, file.errorf("%w", err)
	}
	return m, nil
}

func readVocabJSON(dir fs.FS) (value, error) {
	b, err := readFile(dir, "vocab.json", maxTokenizerJSON)
	if err != nil {
		return value{}, err
	}
	return parseJSON("vocab.json", b)
}

// clipDecoder is byte-level, and then turns the ends of words into spaces.
type clipDecoder struct{}

func (clipDecoder) decode(tokens []string) []string {
	s := strings.Join(byteLevelDecoder{}.decode(tokens), "")
	return []string{strings.TrimFunc(strings.ReplaceAll(s, "</w>", " "), isPythonSpace)}
}

// isPythonSpace is what Python's str.strip takes off.
func isPythonSpace(r rune) bool { return uni.IsWhitespace(r) || 0x1c <= r && r <= 0x1f }
