package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// page returns the character data of an HTML page that is also XML, and the
// values of its attributes named name.
func page(t *testing.T, file, name string) (text string, attributes []string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := xml.NewDecoder(f)
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return text, attributes
		}
		if err != nil {
			t.Fatalf("%s is not well-formed: %v", file, err)
		}
		switch tok := tok.(type) {
		case xml.CharData:
			text += string(tok)
		case xml.StartElement:
			for _, a := range tok.Attr {
				if a.Name.Local == name {
					attributes = append(attributes, a.Value)
				}
			}
		}
	}
}

// TestDemo: without arguments the samples are compared, and the report holds
// every picture and sound and refers to nothing outside.
func TestDemo(t *testing.T) {
	report := filepath.Join(t.TempDir(), "report.html")
	status, stdout, stderr := invoke("demo", "--json", "--html", report)
	if status != exitOK {
		t.Fatal(stderr)
	}
	var got struct {
		Items  []struct{ Kind, Name, Text, Caption string }
		Tables []struct {
			Rows, Columns string
			Cosines       [][]float64
		}
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, item := range got.Items {
		if count[item.Kind]++; item.Kind != "text" && item.Caption == "" {
			t.Errorf("no caption of %s", item.Name)
		}
	}
	if len(got.Tables) != 3 {
		t.Fatalf("%d tables, want 3", len(got.Tables))
	}
	for _, table := range got.Tables {
		if len(table.Cosines) != count[table.Rows] || len(table.Cosines[0]) != count[table.Columns] {
			t.Errorf("table of %s and %s: %d rows", table.Rows, table.Columns, len(table.Cosines))
		}
	}
	_, sources := page(t, report, "src")
	if len(sources) < count["image"]+count["sound"] {
		t.Errorf("%d sources in the report, want %d pictures and %d sounds at least", len(sources), count["image"], count["sound"])
	}
	for _, s := range sources {
		if !strings.HasPrefix(s, "data:image/") && !strings.HasPrefix(s, "data:audio/") {
			t.Errorf("the report refers to %.60q", s)
		}
	}
	if status, stdout, _ = invoke("demo"); status != exitOK || !strings.Contains(stdout, "Sentences and pictures by cosine") {
		t.Errorf("status %d, stdout %s", status, stdout)
	}
}

// TestDemoOwn: what the user brings is shown as it is, whatever it holds.
func TestDemoOwn(t *testing.T) {
	dir := t.TempDir()
	picture, err := os.ReadFile(demoDir + "photo.jpg")
	if err != nil {
		t.Fatal(err)
	}
	odd := filepath.Join(dir, `a "quote" & <b>.jpg`)
	for name, data := range map[string][]byte{odd: picture, filepath.Join(dir, "notes.txt"): []byte("line one\n\nline two\r\n"),
		filepath.Join(dir, "settings.json"): []byte("{}"), filepath.Join(dir, ".hidden.txt"): []byte("no")} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const sentence = `</td><script>alert("x")</script> & 'more' “é”`
	report := filepath.Join(dir, "report.html")
	status, stdout, stderr := invoke("demo", dir, sentence, "--html", report)
	if status != exitOK {
		t.Fatal(stderr)
	}
	if !strings.Contains(stderr, "skipped: "+filepath.Join(dir, "settings.json")) || strings.Contains(stderr, "hidden") {
		t.Errorf("stderr: %s", stderr)
	}
	text, alts := page(t, report, "alt")
	if !strings.Contains(text, sentence) || !strings.Contains(text, "line two") || len(alts) == 0 || alts[0] != odd {
		t.Errorf("the report's text is %s, pictures %q", text, alts)
	}
	if b, _ := os.ReadFile(report); strings.Contains(string(b), "<script") {
		t.Error("what the user wrote became an element")
	}
	if !strings.Contains(stdout, "line one") {
		t.Errorf("stdout: %s", stdout)
	}
	for _, c := range []struct {
		args   []string
		status int
		last   string
	}{
		{[]string{"demo", " "}, exitUsage, "weft: an empty sentence"},
		{[]string{"demo", root + "LICENSE", "--html", report}, exitError, "weft: more than 64 items"},
		{[]string{"demo", goldens + "bert.model/model.safetensors"}, exitUnsupported, "weft: unsupported: "},
		{[]string{"demo", goldens + "bert.model"}, exitError, "weft: nothing to show"},
		{[]string{"demo", "hello", "--model", goldens + "bert.model"}, exitUnsupported, "weft: unsupported: "},
		{[]string{"demo", "hello", "--html", filepath.Join(dir, "none", "report.html")}, exitError, "weft: "},
	} {
		status, stdout, stderr := invoke(c.args...)
		if status != c.status || stdout != "" || !strings.HasPrefix(lastLine(stderr), c.last) {
			t.Errorf("weft %q: status %d, stdout %q, stderr %s", c.args, status, stdout, stderr)
		}
	}
}

// TestMatch: any kind finds any other; what cannot be read is named and passed
// over.
func TestMatch(t *testing.T) {
	type hit struct {
		Name, Kind, Text string
		Score            float64
	}
	for _, query := range []string{"two dogs", demoDir + "photo.jpg", demoDir + "voice.flac"} {
		status, stdout, stderr := invoke("match", "--query", query, demoDir, demoDir+"photo.jpg", "absent.png", "--json", "--top", "2")
		var hits []hit
		if status != exitOK || json.Unmarshal([]byte(stdout), &hits) != nil || len(hits) != 2 {
			t.Fatalf("%s: status %d, stdout %s, stderr %s", query, status, stdout, stderr)
		}
		if query != "two dogs" && (hits[0].Name != filepath.Clean(query) || hits[0].Score < 0.999) {
			t.Errorf("%s: the nearest is %v", query, hits[0])
		}
		if !strings.Contains(stderr, "skipped: "+demoDir+"README.md") || !strings.Contains(stderr, "absent.png") {
			t.Errorf("stderr: %s", stderr)
		}
	}
	// CLIP reads no sounds.
	clip, empty := t.TempDir(), t.TempDir()
	if err := os.CopyFS(clip, os.DirFS(goldens+"clip.model")); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{
		"vocab.txt":                "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\ndog\ntwo\ndogs\n",
		"tokenizer_config.json":    `{"tokenizer_class":"BertTokenizer"}`,
		"preprocessor_config.json": `{"image_processor_type":"CLIPImageProcessor","size":{"shortest_edge":12},"crop_size":{"height":12,"width":12}}`,
	} {
		if err := os.WriteFile(filepath.Join(clip, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	status, stdout, stderr := invoke("match", "--query", "two dogs", demoDir, "--model", clip)
	if status != exitOK || !strings.Contains(stdout, "image  "+demoDir+"photo.jpg") || !strings.Contains(stderr, "skipped: "+demoDir+"voice.flac") {
		t.Errorf("CLIP: status %d, stdout %s, stderr %s", status, stdout, stderr)
	}
	if status, stdout, stderr = invoke("demo", "two dogs", demoDir+"photo.jpg", "--model", clip); status != exitOK || !strings.Contains(stdout, "two dogs") {
		t.Errorf("CLIP: status %d, stdout %s, stderr %s", status, stdout, stderr)
	}
	for _, c := range []struct {
		args   []string
		status int
		last   string
	}{
		{[]string{"match", demoDir}, exitUsage, "weft: --query is missing"},
		{[]string{"match", "--query", "a"}, exitUsage, "weft: give FILES or DIRS"},
		{[]string{"match", "--query", "a", "--top", "-1", demoDir}, exitUsage, "weft: --top -1 is negative"},
		{[]string{"match", "--query", root + "go.mod", demoDir}, exitUsage, "weft: --query " + root + "go.mod holds "},
		{[]string{"match", "--query", "a", empty}, exitError, "weft: nothing to search"},
		{[]string{"match", "--query", "a", demoDir, "--model", empty}, exitError, "weft: "},
		{[]string{"match", "--query", demoDir + "voice.flac", demoDir, "--model", clip}, exitUnsupported, "weft: unsupported: "},
	} {
		status, stdout, stderr := invoke(c.args...)
		if status != c.status || stdout != "" || !strings.HasPrefix(lastLine(stderr), c.last) {
			t.Errorf("weft %q: status %d, stdout %q, stderr %s", c.args, status, stdout, stderr)
		}
	}
}
