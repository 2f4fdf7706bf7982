package caption_test

import (
	"context"
	"fmt"
	"io/fs"
	"log"

	"github.com/seed-512d3d71/weft/demo"
	"github.com/seed-512d3d71/weft/task/match"
)

// What the pictures among the samples show. A Captioner is made by
// weft.Model.Captions, which takes pictures, sounds and sentences.
func Example() {
	m, err := demo.Open()
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	names, err := fs.Glob(demo.Samples(), "*.png")
	if err != nil {
		log.Fatal(err)
	}
	for _, name := range names {
		b, err := fs.ReadFile(demo.Samples(), name)
		if err != nil {
			log.Fatal(err)
		}
		items, err := match.Decode(name, b)
		if err != nil {
			log.Fatal(err)
		}
		captions, err := m.Captions(context.Background(), items...)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(name, captions[0])
	}
}
