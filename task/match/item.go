package match

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode/utf8"

	"github.com/seed-512d3d71/weft/audio"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/vision"
)

// Kind is a kind of item.
type Kind string

// The kinds.
const (
	Text  Kind = "text"
	Image Kind = "image"
	Sound Kind = "sound"
)

// Item is a sentence, a picture or a sound; one of the three is given.
type Item struct {
	Name  string // for results; it has no part in the comparison
	Text  string
	Image *vision.Image
	Sound *audio.Clip
}

// Kind returns what the item is, "" if it is nothing or more than one thing.
func (i Item) Kind() Kind {
	switch {
	case i.Image != nil && i.Sound == nil && i.Text == "":
		return Image
	case i.Sound != nil && i.Image == nil && i.Text == "":
		return Sound
	case i.Text != "" && i.Image == nil && i.Sound == nil:
		return Text
	}
	return ""
}

// maxText bounds a text file, in bytes.
const maxText = 1 << 20

// Open reads a picture, a sound or a text file, told apart by what it holds; see
// [Decode].
func Open(path string) ([]Item, error) {
	// Stat first: opening a FIFO would wait for its writer.
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	const limit = 1 << 30
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && len(b) > limit {
		err = fmt.Errorf("more than %d bytes: %w", limit, vision.ErrTooLarge)
	}
	var items []Item
	if err == nil {
		items, err = Decode(path, b)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return items, nil
}

// Decode reads the picture, the sound or the text file in b. A text file gives
// an item a line, named after the file and the line's number; the others give
// one item called name. What is none of them is [nn.ErrUnsupported].
func Decode(name string, b []byte) ([]Item, error) {
	img, err := vision.DecodeBytes(b, vision.Limits{})
	if err == nil {
		return []Item{{Name: name, Image: img}}, nil
	}
	if !errors.Is(err, vision.ErrFormat) {
		return nil, err
	}
	clip, err := audio.DecodeBytes(b, audio.Limits{})
	if err == nil {
		return []Item{{Name: name, Sound: clip}}, nil
	}
	if !errors.Is(err, audio.ErrFormat) {
		return nil, err
	}
	if !isText(b) {
		return nil, nn.Unsupported("a file that is no picture, no sound and no text")
	}
	return lines(name, b)
}

// isText reports whether b is UTF-8 without control characters.
func isText(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' && c != '\f' || c == 0x7f {
			return false
		}
	}
	return len(b) > 0 && utf8.Valid(b)
}

func lines(name string, b []byte) ([]Item, error) {
	if len(b) > maxText {
		return nil, nn.InputError("text", "%d bytes, at most %d", len(b), maxText)
	}
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	var items []Item
	for i, line := range bytes.Split(b, []byte("\n")) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			items = append(items, Item{Name: fmt.Sprintf("%s:%d", name, i+1), Text: string(line)})
		}
	}
	if items == nil {
		return nil, nn.InputError("text", "nothing but space")
	}
	return items, nil
}
