package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// manifests are those that parseManifest refuses, and what it names.
var badManifests = map[string]string{
	`{`:                                    "unexpected end",
	`[]`:                                   "cannot unmarshal array",
	`{"items":[]}`:                         "items: 0",
	`{"items":[1]}`:                        "cannot unmarshal number",
	`{"items":[{"id":"x","set":"songs"}]}`: `item 0 (x): set: "songs" has no labels`,
	`{"items":[{"set":"retrieval","text":"a","image":"a.png"}]}`:                                                    "speech: missing",
	`{"items":[{"set":"caption","image":"a.png"}]}`:                                                                 "caption: missing",
	`{"labels":{"digits":["one"]},"items":[{"set":"digits","speech":"a.wav","label":"one"}]}`:                       "labels.digits: 1",
	`{"labels":{"digits":["one",""]},"items":[{"set":"digits","speech":"a.wav","label":"one"}]}`:                    "none empty",
	`{"labels":{"digits":["one","two"]},"items":[{"id":"d3","set":"digits","speech":"a.wav","label":"three"}]}`:     `item 0 (d3): label: "three"`,
	`{"labels":{"digits":["one","two"]},"items":[{"set":"digits","label":"two"}]}`:                                  "speech: missing",
	`{"items":[{"set":"retrieval","text":"a","image":"a.png","speech":"a.wav","paraphrases":"none"}]}`:              "paraphrases",
	`{"labels":["one","two"],"items":[{"set":"retrieval","text":"a","image":"a.png","speech":"a.wav"}]}`:            "labels",
	`{"labels":{"retrieval":["a","b"]},"items":[{"set":"retrieval","label":"a","image":"a.png","speech":"a.wav"}]}`: "text: missing",
}

func TestManifest(t *testing.T) {
	for s, want := range badManifests {
		if _, err := parseManifest([]byte(s)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", s, err, want)
		}
	}
}

// FuzzManifest: whatever the file holds is refused or can be evaluated: labels
// and parts are there.
func FuzzManifest(f *testing.F) {
	for s := range badManifests {
		f.Add([]byte(s))
	}
	f.Add([]byte(goodManifest))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseManifest(b)
		if err != nil {
			return
		}
		for _, item := range m.Items {
			labels := m.Labels[item.Set]
			if item.Set != setRetrieval && item.Set != setCaption && (len(labels) < 2 || item.Speech == "") || item.Set != setCaption && item.Speech == "" {
				t.Errorf("%q was taken", b)
			}
		}
	})
}

const goodManifest = `{"labels":{"digits":["the digit one","the digit two"]},"version":1,"items":[
	{"id":"r0","set":"retrieval","text":"a red circle","paraphrases":["one red circle"],"image":"a.jpg","speech":"a.flac","world":"scene"},
	{"id":"c0","set":"caption","image":"a.jpg","caption":"a red circle"},
	{"id":"d1","set":"digits","speech":"a.flac","label":"the digit one","source":"x"},
	{"id":"d2","set":"digits","speech":"a.flac","label":"the digit two","source":"y","real":true}]}`

func TestEval(t *testing.T) {
	dir := t.TempDir()
	for name, from := range map[string]string{"a.jpg": "photo.jpg", "a.flac": "voice.flac"} {
		b, err := os.ReadFile(demoDir + from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write := func(manifest string) {
		if err := os.WriteFile(filepath.Join(dir, "manifest.json"), []byte(manifest), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(goodManifest)
	status, stdout, stderr := invoke("eval", "--data", dir, "--json")
	if status != exitOK {
		t.Fatal(stderr)
	}
	var results []result
	if err := json.Unmarshal([]byte(stdout), &results); err != nil {
		t.Fatal(err)
	}
	got := map[string]result{}
	for _, r := range results {
		got[r.Name] = r
	}
	// One item finds itself; one sound is one of two digits whoever says it.
	for name, want := range map[string]result{
		"text → image recall@1":       {Value: 1, Chance: 1, Count: 1, Of: 1},
		"paraphrase → text recall@5":  {Value: 1, Chance: 1, Count: 1, Of: 1},
		"speech and text InfoNCE":     {Value: 0, Chance: 0, Count: 1, Of: 1},
		"digits":                      {Value: 0.5, Chance: 0.5, Count: 2, Of: 2},
		"captions of pictures":        {Value: got["captions of pictures"].Value, Chance: 1, Count: 1, Of: 1},
		"captions of voices":          {Value: got["captions of voices"].Value, Chance: 1, Count: 1, Of: 1},
		"speech → image recall@5":     {Value: 1, Chance: 1, Count: 1, Of: 1},
		"speech and image InfoNCE":    {Value: 0, Chance: 0, Count: 1, Of: 1},
		"paraphrase → image recall@1": {Value: 1, Chance: 1, Count: 1, Of: 1},
	} {
		if want.Name = name; got[name] != want {
			t.Errorf("%s: %+v, want %+v", name, got[name], want)
		}
	}
	if d := got["digits x"].Value + got["digits y"].Value; d != 1 || got["digits x"].Count != 1 {
		t.Errorf("digits by speaker: %+v, %+v", got["digits x"], got["digits y"])
	}
	if status, stdout, _ = invoke("eval", "--data", dir); status != exitOK || !strings.Contains(stdout, "captions of voices") {
		t.Errorf("status %d, stdout %s", status, stdout)
	}
	for manifest, last := range map[string]string{
		`{"items":[]}`: "weft: " + filepath.Join(dir, "manifest.json") + ": items: 0",
		strings.Replace(goodManifest, `"a.flac"`, `"none.flac"`, 1):        "weft: " + dir + ": item r0: open none.flac: ",
		strings.Replace(goodManifest, `"a.flac"`, `"../secret"`, 1):        "weft: " + dir + ": item r0: open ../secret: ",
		strings.Replace(goodManifest, `"a.jpg"`, `"a.flac"`, 1):            "weft: " + dir + ": item r0: a.flac: not of kind image",
		strings.Replace(goodManifest, `"a.jpg"`, `"manifest.json"`, 1):     "weft: " + dir + ": item r0: manifest.json: not of kind image",
		`{"items":[{"id":"c","set":"caption","image":".","caption":"c"}]}`: "weft: " + dir + ": item c: ",
	} {
		write(manifest)
		status, stdout, stderr := invoke("eval", "--data", dir)
		if status != exitError || stdout != "" || !strings.HasPrefix(lastLine(stderr), last) {
			t.Errorf("%s: status %d, stdout %q, stderr %s", manifest, status, stdout, stderr)
		}
	}
	if status, _, stderr := invoke("eval"); status != exitUsage || !strings.Contains(lastLine(stderr), "--data is missing") {
		t.Errorf("status %d, %s", status, stderr)
	}
	if status, _, stderr := invoke("eval", "--data", filepath.Join(dir, "none")); status != exitError {
		t.Errorf("status %d, %s", status, stderr)
	}
}
