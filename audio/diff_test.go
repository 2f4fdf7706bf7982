package audio

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// TestDiff is driven by testdata/diff.py: it runs the jobs in the folder named by
// WEFT_AUDIO_DIFF and leaves the results there for the script to compare.
func TestDiff(t *testing.T) {
	dir := os.Getenv("WEFT_AUDIO_DIFF")
	if dir == "" {
		t.Skip("WEFT_AUDIO_DIFF is not set; testdata/diff.py sets it")
	}
	var jobs []struct {
		Op            string // decode, resample, extract, batch
		Files         []string
		From, To      int
		Config, Model json.RawMessage
	}
	b, err := os.ReadFile(filepath.Join(dir, "jobs.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &jobs); err != nil {
		t.Fatal(err)
	}
	type result struct {
		Error string
		Name  string
		Shape []int
		Rate  int
		Mask  []int64
	}
	results := make([]result, len(jobs))
	for i, j := range jobs {
		r := &results[i]
		var data []float32
		err := func() (err error) {
			clips := make([]*Clip, len(j.Files))
			for k, f := range j.Files {
				if clips[k], err = Open(filepath.Join(dir, f)); err != nil {
					return err
				}
			}
			switch j.Op {
			case "decode":
				data, r.Rate, r.Shape = clips[0].Samples, clips[0].Rate, []int{clips[0].Frames(), clips[0].Channels}
				return nil
			case "resample":
				data, err = Resample(clips[0].Mono(), j.From, j.To)
				r.Shape = []int{len(data)}
				return err
			}
			x, err := ParseExtractor(j.Config, j.Model)
			if err != nil {
				return err
			}
			if j.Op == "extract" {
				r.Name, data, r.Shape, err = x.Process(clips[0])
				return err
			}
			b, err := x.ProcessBatch(clips...)
			if err == nil {
				r.Name, data, r.Shape, r.Mask = b.Name, b.Data, b.Shape, b.Mask
			}
			return err
		}()
		if err != nil {
			r.Error = err.Error()
		}
		raw := make([]byte, 0, len(data)*4)
		for _, v := range data {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
		}
		if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(i)+".f32"), raw, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	out, err := json.Marshal(results)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "results.json"), out, 0o666); err != nil {
		t.Fatal(err)
	}
}
