package safetensors

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"
	"testing"
)

// verdict is what this package makes of a file, in a form that
// testdata/diff.py compares with what the reference library makes of it.
type verdict struct {
	Kind     Kind              `json:"kind,omitempty"` // of the error, "" if it opens
	Tensors  []verdictTensor   `json:"tensors,omitempty"`
	Metadata map[string]string `json:"metadata,omitempty"`
}

type verdictTensor struct {
	Name  string   `json:"name"`
	DType string   `json:"dtype"`
	Shape []uint64 `json:"shape"`
	Data  []byte   `json:"data"` // in base64
}

func judge(b []byte) verdict {
	f, err := Parse(b)
	if err != nil {
		var e *FormatError
		if !errors.As(err, &e) {
			return verdict{Kind: Kind(err.Error())}
		}
		return verdict{Kind: e.Kind}
	}
	defer f.Close()
	v := verdict{Metadata: f.Metadata(), Tensors: []verdictTensor{}}
	for _, t := range f.Tensors() {
		v.Tensors = append(v.Tensors, verdictTensor{t.Name, t.DType.String(), t.Dims(), t.Data()})
	}
	return v
}

// rewrite writes a file's tensors anew.
func rewrite(b []byte) ([]byte, error) {
	f, err := Parse(b)
	if err != nil {
		return nil, err
	}
	var entries []Entry
	for _, t := range f.Tensors() {
		entries = append(entries, Entry{Name: t.Name, DType: t.DType, Shape: t.Shape, Data: t.Data()})
	}
	var out bytes.Buffer
	err = Write(&out, entries, f.Metadata())
	return out.Bytes(), err
}

// TestDriver is the Go side of testdata/diff.py: for each file on standard
// input (length as 4 bytes little-endian, then the bytes) it writes a verdict,
// or the file written anew, on standard output in the same framing.
func TestDriver(t *testing.T) {
	mode := os.Getenv("SAFETENSORS_DIFF")
	if mode == "" {
		t.Skip("run by testdata/diff.py, which needs Python and the safetensors wheel")
	}
	in, out := bufio.NewReaderSize(os.Stdin, 1<<20), bufio.NewWriterSize(os.Stdout, 1<<20)
	defer out.Flush()
	var n [4]byte
	for {
		if _, err := io.ReadFull(in, n[:]); err != nil {
			return
		}
		b := make([]byte, binary.LittleEndian.Uint32(n[:]))
		if _, err := io.ReadFull(in, b); err != nil {
			t.Fatal(err)
		}
		var reply []byte
		var err error
		if mode == "write" {
			reply, err = rewrite(b)
		} else {
			reply, err = json.Marshal(judge(b))
		}
		if err != nil {
			t.Fatal(err)
		}
		binary.LittleEndian.PutUint32(n[:], uint32(len(reply)))
		out.Write(n[:])
		out.Write(reply)
		if in.Buffered() == 0 {
			out.Flush()
		}
	}
}
