package weft_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/seed-512d3d71/weft"
	"github.com/seed-512d3d71/weft/audio"
	"github.com/seed-512d3d71/weft/tensor"
	"github.com/seed-512d3d71/weft/vision"
)

func Example() {
	m, err := weft.Open("testdata/demo/encoders/text")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	out, err := m.EncodeText(context.Background(), "The cat looks at the camera.")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Class(), out.Get("last_hidden_state").Shape())
	// Output: BertModel [1 9 48]
}

func ExampleModel_EncodeImage() {
	m, err := weft.Open("testdata/demo/encoders/image")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	picture, err := vision.Open("testdata/demo/photo.jpg", vision.Limits{})
	if err != nil {
		log.Fatal(err)
	}
	out, err := m.EncodeImage(context.Background(), picture)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Class(), out.Get("last_hidden_state").Shape(), out.Get("pooler_output").Shape())
	// Output: ViTModel [1 17 48] [1 48]
}

func ExampleModel_EncodeAudio() {
	m, err := weft.Open("testdata/demo/encoders/audio")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	clip, err := audio.Open("testdata/demo/voice.flac")
	if err != nil {
		log.Fatal(err)
	}
	out, err := m.EncodeAudio(context.Background(), clip)
	if err != nil {
		log.Fatal(err)
	}
	features := out.Get("extract_features")
	fmt.Println(m.Class(), features.Dim(2), "features a frame,", features.Dim(1) > 1, "more than one frame")
	// Output: Wav2Vec2Model 32 features a frame, true more than one frame
}

// The multi-modal encoder: three encoders in one folder.
func ExampleMultiModalEncoder() {
	e, err := weft.OpenMultiModal("testdata/demo/encoders")
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()
	picture, err := vision.Open("testdata/demo/photo.jpg", vision.Limits{})
	if err != nil {
		log.Fatal(err)
	}
	f, err := e.Encode(context.Background(), weft.MultiModalInput{Text: "A tabby cat.", Image: picture})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("text", f.Text.Get("last_hidden_state").Shape())
	fmt.Println("image", f.Image.Get("last_hidden_state").Shape())
	fmt.Println("audio", len(f.Audio), "outputs")
	// Output:
	// text [1 6 48]
	// image [1 17 48]
	// audio 0 outputs
}

// A model from a file system, such as an embed.FS.
func ExampleOpenFS() {
	m, err := weft.OpenFS(os.DirFS("testdata/demo/encoders/text"), weft.WithThreads(1))
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	out, err := m.EncodeText(context.Background(), "Two dogs.", "Two dogs run along the beach.")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(out.Get("pooler_output").Shape())
	// Output: [2 48]
}

// The level below: any class, tensors by the names of forward()'s arguments.
func ExampleModel_Run() {
	m, err := weft.Open("testdata/golden/bert.pretraining", weft.WithClass("BertForMaskedLM"))
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	out, err := m.Run(context.Background(), weft.Inputs{
		"input_ids":      tensor.FromI64([]int64{3, 14, 15, 0, 9, 26, 5, 0}, 2, 4),
		"attention_mask": tensor.FromI64([]int64{1, 1, 1, 0, 1, 1, 1, 0}, 2, 4),
	}, weft.RunOptions{HiddenStates: true})
	if err != nil {
		log.Fatal(err)
	}
	for _, o := range out {
		fmt.Println(o.Name, o.Shape())
	}
	// Output:
	// logits [2 4 37]
	// hidden_states.0 [2 4 32]
	// hidden_states.1 [2 4 32]
	// hidden_states.2 [2 4 32]
}

// What a directory holds, and whether weft runs it.
func ExampleInspect() {
	info, err := weft.Inspect("testdata/demo/encoders/text")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.Class, info.Parameters > 0, info.Tokenizer, info.Runs)
	// Output: BertModel true tokenizer.json true
}
