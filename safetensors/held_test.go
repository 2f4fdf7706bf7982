package safetensors

import (
	"bytes"
	"io/fs"
	"testing"
	"testing/fstest"
)

// heldFS gives files that hold their bytes.
type heldFS struct {
	fstest.MapFS
	data []byte
}

type heldFile struct {
	fs.File
	data []byte
}

func (f heldFile) Bytes() []byte { return f.data }

func (h heldFS) Open(name string) (fs.File, error) {
	f, err := h.MapFS.Open(name)
	if err != nil {
		return nil, err
	}
	return heldFile{f, h.data}, nil
}

// TestHeldBytes: the data of a file that holds its bytes is not copied.
func TestHeldBytes(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, []Entry{F32Entry("x", []float32{1, 2, 3}, 3)}, nil); err != nil {
		t.Fatal(err)
	}
	data := b.Bytes()
	f, err := OpenFS(heldFS{fstest.MapFS{"m.safetensors": {Data: data}}, data}, "m.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	x, _ := f.Lookup("x")
	begin, _ := x.FileRange()
	if &x.Data()[0] != &data[begin] {
		t.Error("the data was copied")
	}
}
