package text

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// Limits on files, in bytes.
const (
	maxTokenizerJSON = 1 << 28
	maxConfigJSON    = 1 << 24
)

// Open reads the tokenizer in a model's directory: tokenizer.json, else
// vocab.txt (BERT's WordPiece), else vocab.json with merges.txt (byte-level BPE
// as GPT-2, RoBERTa and CLIP have it), else vocab.json alone (the characters of
// a CTC model). The last three are completed from tokenizer_config.json,
// special_tokens_map.json and added_tokens.json as transformers does it.
func Open(dir fs.FS) (*Tokenizer, error) {
	cfg, err := readConfig(dir)
	if err != nil {
		return nil, err
	}
	var t *Tokenizer
	switch {
	case exists(dir, "tokenizer.json"):
		var b []byte
		if b, err = readFile(dir, "tokenizer.json", maxTokenizerJSON); err == nil {
			t, err = parseNamed("tokenizer.json", b)
		}
	case exists(dir, "vocab.txt"):
		t, err = openWordPiece(dir, cfg)
	case exists(dir, "vocab.json") && exists(dir, "merges.txt"):
		t, err = openBPE(dir, cfg)
	case exists(dir, "vocab.json"):
		t, err = openCTC(dir, cfg)
	default:
		err = fmt.Errorf("text: no tokenizer: none of tokenizer.json, vocab.txt and vocab.json: %w", fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	t.maxLength = cfg.maxLength
	t.special = map[string]int{}
	for role, tok := range cfg.roles {
		if id, ok := t.TokenToID(tok.Content); ok {
			t.special[role] = id
		}
	}
	return t, nil
}

func exists(dir fs.FS, name string) bool {
	info, err := fs.Stat(dir, name)
	return err == nil && info.Mode().IsRegular()
}

// readFile reads a file of at most limit bytes.
func readFile(dir fs.FS, name string, limit int64) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s: more than %d bytes", name, limit)
	}
	return b, nil
}

// Parse reads the bytes of a tokenizer.json.
func Parse(b []byte) (*Tokenizer, error) { return parseNamed("tokenizer.json", b) }

func parseNamed(name string, b []byte) (*Tokenizer, error) {
	v, err := parseJSON(name, b)
	if err != nil {
		return nil, err
	}
	root, err := v.fields()
	if err != nil {
		return nil, err
	}
	if root.m["version"] != nil {
		s, err := root.get("version").str()
		if err != nil {
			return nil, err
		}
		if s != "1.0" {
			return nil, unsupported(root.get("version"), "version", s)
		}
	}
	t := &Tokenizer{}
	if !root.has("model") {
		return nil, v.errorf("missing field %q", "model")
	}
	if t.model, err = parseModel(root.get("model")); err != nil {
		return nil, err
	}
	if root.has("normalizer") {
		t.normalizer, err = parseNormalizer(root.get("normalizer"), 0)
	}
	if err == nil && root.has("pre_tokenizer") {
		t.preTokenizer, err = parsePreTokenizer(root.get("pre_tokenizer"), 0)
	}
	if err == nil && root.has("post_processor") {
		t.postProcessor, err = parsePostProcessor(root.get("post_processor"), 0)
	}
	if err == nil && root.has("decoder") {
		t.decoder, err = parseDecoder(root.get("decoder"), 0)
	}
	if err == nil && root.has("truncation") {
		t.truncation, err = parseTruncation(root.get("truncation"))
	}
	if err == nil && root.has("padding") {
		t.padding, err = parsePadding(root.get("padding"))
	}
	if err != nil {
		return nil, err
	}
	var added []AddedToken
	if root.has("added_tokens") {
		err := parseAddedTokens(root.get("added_tokens"), func(a AddedToken) { added = append(added, a) })
		if err != nil {
			return nil, err
		}
	}
	t.setAdded(added)
	return t, nil
}

// setAdded registers added tokens, in order.
func (t *Tokenizer) setAdded(list []AddedToken) {
	v := t.model.vocabulary()
	if t.added == nil {
		t.added = newAddedTokens(len(v.ids))
	}
	for _, a := range list {
		t.added.add(a, v, t.normalizer)
	}
	t.added.index()
}

// config is what tokenizer_config.json and its companions say.
type config struct {
	class     string
	o         object
	roles     map[string]AddedToken // by role; normalized is false unless it is said
	added     []AddedToken          // added_tokens_decoder or added_tokens.json, by id
	extra     []AddedToken          // special tokens without a role
	maxLength int
}

// roles are the special tokens in the order that transformers adds them.
var roles = []string{"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}

func readConfig(dir fs.FS) (*config, error) {
	c := &config{roles: map[string]AddedToken{}, o: object{m: map[string][]byte{}}}
	read := func(name string) (object, error) {
		b, err := readFile(dir, name, maxConfigJSON)
		if errors.Is(err, fs.ErrNotExist) {
			return object{}, nil
		}
		if err != nil {
			return object{}, err
		}
		v, err := parseJSON(name, b)
		if err != nil {
			return object{}, err
		}
		return v.fields()
	}
	o, err := read("tokenizer_config.json")
	if err != nil {
		return nil, err
	}
	if o.m != nil {
		c.o = o
	}
	if err := c.readSpecial(c.o); err != nil {
		return nil, err
	}
	// The older special_tokens_map.json overrides, unless added_tokens_decoder
	// is there to take its place.
	if !c.o.has("added_tokens_decoder") {
		specials, err := read("special_tokens_map.json")
		if err == nil && specials.m != nil {
			err = c.readSpecial(specials)
		}
		if err != nil {
			return nil, err
		}
	}
	if c.o.has("tokenizer_class") {
		if c.class, err = c.o.get("tokenizer_class").str(); err != nil {
			return nil, err
		}
	}
	if c.o.has("model_max_length") {
		f, err := c.o.get("model_max_length").float()
		if err != nil {
			return nil, err
		}
		if f >= 1 && f <= maxID { // 1e30 stands for none
			c.maxLength = int(f)
		}
	}
	return c, c.readAdded(dir, read)
}

// readSpecial reads the special tokens that a file names: those with a role and
// the list of the others.
func (c *config) readSpecial(o object) error {
	for _, role := range roles {
		if !o.has(role) {
			continue
		}
		t, err := parseRole(o.get(role))
		if err != nil {
			return err
		}
		c.roles[role] = t
	}
	// The new name, and the old one where the new one has said nothing.
	for _, key := range []string{"extra_special_tokens", "additional_special_tokens"} {
		if !o.has(key) || !o.get(key).isList() || key == "additional_special_tokens" && len(c.extra) > 0 {
			continue
		}
		err := o.get(key).each(func(_ int, v value) error {
			t, err := parseRole(v)
			t.Special = true
			c.extra = append(c.extra, t)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// parseRole reads a special token: its text, or an object with its flags.
func parseRole(v value) (AddedToken, error) {
	if v.isObject() {
		return parseAddedToken(v)
	}
	s, err := v.str()
	return AddedToken{Content: s, Special: true}, err
}

// parseAddedToken reads an added token outside tokenizer.json, where flags may be left out.
func parseAddedToken(v value) (AddedToken, error) {
	r := read(v)
	t := AddedToken{
		Content: r.str("content"), SingleWord: r.boolOr("single_word", false), LStrip: r.boolOr("lstrip", false),
		RStrip: r.boolOr("rstrip", false), Special: r.boolOr("special", false),
	}
	t.Normalized = r.boolOr("normalized", !t.Special)
	return t, r.err
}
