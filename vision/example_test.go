package vision_test

import (
	"bytes"
	"fmt"
	"log"

	"github.com/seed-512d3d71/weft/vision"
)

// A 2×1 picture in the BMP format, red and blue.
var file = append([]byte("BM\x3e\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00"+
	"\x28\x00\x00\x00\x02\x00\x00\x00\x01\x00\x00\x00\x01\x00\x18\x00"), append(make([]byte, 24), "\x00\x00\xff\xff\x00\x00\x00\x00"...)...)

func ExampleProcessor_Process() {
	im, err := vision.Decode(bytes.NewReader(file), vision.Limits{})
	if err != nil {
		log.Fatal(err)
	}
	p, err := vision.ParseProcessor([]byte(`{
		"image_processor_type": "ViTImageProcessor",
		"size": {"height": 2, "width": 4},
		"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]
	}`), nil)
	if err != nil {
		log.Fatal(err)
	}
	pixels, shape, err := p.Process(im)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%v %.2f\n", shape, pixels[:4])
	// Output: [3 2 4] [1.00 0.50 -0.50 -1.00]
}
