// Package demo carries a small model that understands, so that there is
// something to try without a checkpoint: a tri-encoder of sentences, pictures
// and English speech that also says in words what it sees or hears (see package
// nn/tri), and samples for it. It knows coloured shapes and how they lie,
// handwritten digits, drawn interfaces and some spoken words: model/README.md
// says what it was trained on and where it ends.
//
// The package adds about 8 MB to a program that imports it; no other package of
// weft does.
package demo

import (
	"embed"
	"io/fs"

	"github.com/seed-512d3d71/weft"
)

//go:embed model samples
var files embed.FS

// Open opens the model.
func Open(opts ...weft.Option) (*weft.Model, error) { return weft.OpenFS(Model(), opts...) }

// Model returns the model's directory.
func Model() fs.FS { return sub("model") }

// Samples returns a folder of pictures, sounds and a text file of sentences, one
// a line.
func Samples() fs.FS { return sub("samples") }

func sub(dir string) fs.FS {
	out, err := fs.Sub(files, dir)
	if err != nil {
		panic(err) // not a valid path
	}
	return out
}
