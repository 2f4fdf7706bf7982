package match_test

import (
	"context"
	"fmt"
	"log"

	"github.com/seed-512d3d71/weft/demo"
	"github.com/seed-512d3d71/weft/task/match"
)

// A search among sentences; pictures and sounds, as match.Open reads them, work
// the same way, on either side.
func Example() {
	m, err := demo.Open()
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	index := match.NewIndex(m)
	for _, s := range []string{"a large white star", "a small red circle", "the digit seven"} {
		if err := index.Add(context.Background(), match.Item{Name: s, Text: s}); err != nil {
			log.Fatal(err)
		}
	}
	hits, err := index.Search(context.Background(), match.Item{Text: "a tiny red disc"}, 1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(hits[0].Name)
	// Output: a small red circle
}
