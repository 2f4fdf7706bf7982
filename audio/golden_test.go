package audio

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"
)

// job is something that testdata/diff.py compares with the reference libraries.
type job struct {
	Op            string // decode, resample, extract, batch
	Files         []string
	From, To      int
	Config, Model json.RawMessage
}

// result is what a job gives.
type result struct {
	Name  string
	Shape []int
	Rate  int
	Mask  []int64
	data  []float32
}

// run does the job on the sounds in dir.
func (j job) run(dir string) (r result, err error) {
	clips := make([]*Clip, len(j.Files))
	for i, f := range j.Files {
		if clips[i], err = Open(filepath.Join(dir, f)); err != nil {
			return r, err
		}
	}
	switch j.Op {
	case "decode":
		c := clips[0]
		return result{data: c.Samples, Rate: c.Rate, Shape: []int{c.Frames(), c.Channels}}, nil
	case "resample":
		y, err := Resample(clips[0].Mono(), j.From, j.To)
		return result{data: y, Shape: []int{len(y)}}, err
	}
	x, err := ParseExtractor(j.Config, j.Model)
	if err != nil {
		return r, err
	}
	if j.Op == "extract" {
		r.Name, r.data, r.Shape, err = x.Process(clips[0])
		return r, err
	}
	b, err := x.ProcessBatch(clips...)
	if err != nil {
		return r, err
	}
	return result{Name: b.Name, Shape: b.Shape, Mask: b.Mask, data: b.Data}, nil
}

// TestGolden compares with verdicts of libsndfile, the FLAC encoder's input,
// torchaudio and Transformers, which testdata/diff.py --golden wrote. Of each
// result up to 60 values, evenly spread, are kept.
func TestGolden(t *testing.T) {
	const dir = "testdata/golden"
	raw, err := os.ReadFile(filepath.Join(dir, "verdicts.json"))
	if err != nil {
		t.Fatal(err)
	}
	var verdicts []struct {
		job
		result
		Bound  float64
		Values string
	}
	if err := json.Unmarshal(raw, &verdicts); err != nil {
		t.Fatal(err)
	}
	for _, v := range verdicts {
		t.Run(fmt.Sprintf("%s %v", v.Op, v.Files[0]), func(t *testing.T) {
			got, err := v.run(dir)
			if err != nil {
				t.Fatalf("%s: %v", v.Config, err)
			}
			if got.Name != v.Name || got.Rate != v.Rate || !reflect.DeepEqual(got.Shape, v.Shape) {
				t.Fatalf("%s: %q %v at %d Hz, want %q %v at %d Hz", v.Config, got.Name, got.Shape, got.Rate, v.Name, v.Shape, v.Rate)
			}
			if len(got.Mask) > 0 {
				got.Mask = ends(got.Mask)
			}
			if !reflect.DeepEqual(got.Mask, v.Mask) {
				t.Fatalf("%s: attention_mask changes at %v, want %v", v.Config, got.Mask, v.Mask)
			}
			want, err := base64.StdEncoding.DecodeString(v.Values)
			if err != nil {
				t.Fatal(err)
			}
			k := len(want) / 4
			for i := range k {
				at := i * (len(got.data) - 1) / max(1, k-1)
				w := math.Float32frombits(binary.LittleEndian.Uint32(want[i*4:]))
				// Speech2Text divides bins that never change by 0.
				if d := math.Abs(float64(got.data[at]) - float64(w)); got.data[at] != w && !(d <= v.Bound) {
					t.Fatalf("%s: element %d is %v, want %v ± %g", v.Config, at, got.data[at], w, v.Bound)
				}
			}
		})
	}
}

// ends returns where the runs of equal values of a mask end.
func ends(mask []int64) (at []int64) {
	for i := range mask {
		if i+1 == len(mask) || mask[i+1] != mask[i] {
			at = append(at, int64(i))
		}
	}
	return at
}

// TestDiff is driven by testdata/diff.py: it runs the jobs in the folder named by
// WEFT_AUDIO_DIFF and leaves the results there for the script to compare.
func TestDiff(t *testing.T) {
	dir := os.Getenv("WEFT_AUDIO_DIFF")
	if dir == "" {
		t.Skip("WEFT_AUDIO_DIFF is not set; testdata/diff.py sets it")
	}
	var jobs []job
	b, err := os.ReadFile(filepath.Join(dir, "jobs.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &jobs); err != nil {
		t.Fatal(err)
	}
	type outcome struct {
		result
		Error string
	}
	outcomes := make([]outcome, len(jobs))
	for i, j := range jobs {
		r, err := j.run(dir)
		outcomes[i].result = r
		if err != nil {
			outcomes[i].Error = err.Error()
		}
		raw := make([]byte, 0, len(r.data)*4)
		for _, v := range r.data {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
		}
		if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(i)+".f32"), raw, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	out, err := json.Marshal(outcomes)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "results.json"), out, 0o666); err != nil {
		t.Fatal(err)
	}
}
