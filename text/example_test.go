package text_test

import (
	"fmt"
	"log"
	"testing/fstest"

	"github.com/seed-512d3d71/weft/text"
)

func Example() {
	// In earnest: os.DirFS("path/to/model").
	dir := fstest.MapFS{"vocab.txt": {Data: []byte("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nun\n##aff\n##able\n!\n")}}
	tok, err := text.Open(dir)
	if err != nil {
		log.Fatal(err)
	}
	e, err := tok.Encode("Unaffable!", text.EncodeOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(e.Tokens)
	fmt.Println(e.IDs)
	fmt.Println(e.Offsets)
	s, err := tok.Decode(e.IDs, true)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(s)
	// Output:
	// [[CLS] un ##aff ##able ! [SEP]]
	// [2 5 6 7 8 3]
	// [[0 0] [0 2] [2 5] [5 9] [9 10] [0 0]]
	// unaffable!
}
