package vision

import "strings"

// resizeRule is how a class turns "size" into the size to resize to.
type resizeRule int

const (
	resizeSize      resizeRule = iota // PilBackend.resize
	resizeCropPct                     // ConvNextImageProcessor: shrink to size/crop_pct and crop, or warp
	resizeScalePct                    // PoolFormerImageProcessor: scale size by 1/crop_pct
	resizeLevit                       // LevitImageProcessor: the shortest edge scaled by 256/224
	resizeDivisible                   // ViltImageProcessor: both edges a multiple of size_divisor
)

// class holds the defaults of an image processor class of Transformers
// (models/*/image_processing_pil_*.py) and what it does differently.
type class struct {
	name       string
	options    options
	square     bool // an integer size means a square, else the shortest edge
	rule       resizeRule
	noCrop     bool // do_center_crop is ignored
	noPad      bool // do_pad is ignored
	fixedNames bool // "rescale" is an old name of do_rescale
	topOptions bool // rescale_offset and include_top
	pixelMask  bool // do_pad adds pixel_mask, and pads to the batch
}

var (
	imagenetMean = []float64{0.485, 0.456, 0.406}
	imagenetStd  = []float64{0.229, 0.224, 0.225}
	halves       = []float64{0.5, 0.5, 0.5}
	clipMean     = []float64{0.48145466, 0.4578275, 0.40821073}
	clipStd      = []float64{0.26862954, 0.26130258, 0.27577711}
)

func hw(n int) *size       { return &size{height: n, width: n} }
func shortest(n int) *size { return &size{shortestEdge: n} }

// defaults are the options of a class that resizes, rescales and normalises,
// and crops if crop is given.
func defaults(f Filter, s, crop *size, mean, std []float64) options {
	factor := 1.0 / 255
	return options{
		resize: true, size: s, resample: &f,
		centerCrop: crop != nil, cropSize: crop,
		rescale: true, rescaleFactor: &factor,
		normalize: true, mean: mean, std: std,
	}
}

// classes lists the image processors that give one 3×H×W picture.
var classes = func() map[string]*class {
	uncropped := func(o options, crop *size) options {
		o.centerCrop, o.cropSize = false, crop
		return o
	}
	list := []*class{
		{name: "ViTImageProcessor", square: true, options: defaults(Bilinear, hw(224), nil, halves, halves)},
		{name: "DeiTImageProcessor", square: true, options: defaults(Bicubic, hw(256), hw(224), halves, halves)},
		{name: "CLIPImageProcessor", options: defaults(Bicubic, shortest(224), hw(224), clipMean, clipStd)},
		{name: "ChineseCLIPImageProcessor", options: defaults(Bicubic, shortest(224), hw(224), clipMean, clipStd)},
		{name: "BitImageProcessor", options: defaults(Bicubic, shortest(224), hw(224), clipMean, clipStd)},
		{name: "BlipImageProcessor", square: true, options: defaults(Bicubic, hw(384), nil, clipMean, clipStd)},
		{name: "SiglipImageProcessor", options: defaults(Bicubic, hw(224), nil, halves, halves)},
		{name: "PvtImageProcessor", square: true, options: defaults(Bicubic, hw(224), nil, imagenetMean, imagenetStd)},
		{name: "MobileNetV1ImageProcessor", options: defaults(Bilinear, shortest(256), hw(224), halves, halves)},
		{name: "MobileNetV2ImageProcessor", noPad: true, options: defaults(Bilinear, shortest(256), hw(224), halves, halves)},
		{name: "BeitImageProcessor", square: true, noPad: true,
			options: uncropped(defaults(Bicubic, hw(224), nil, halves, halves), hw(224))},
		{name: "SegformerImageProcessor", square: true, noCrop: true, noPad: true,
			options: defaults(Bilinear, hw(512), nil, imagenetMean, imagenetStd)},
		{name: "OwlViTImageProcessor", square: true, fixedNames: true,
			options: uncropped(defaults(Bicubic, hw(768), nil, clipMean, clipStd), hw(768))},
		{name: "LevitImageProcessor", rule: resizeLevit,
			options: defaults(Bicubic, shortest(224), hw(224), imagenetMean, imagenetStd)},
		{name: "ConvNextImageProcessor", rule: resizeCropPct, noPad: true,
			options: defaults(Bicubic, shortest(384), nil, halves, halves)},
		{name: "PoolFormerImageProcessor", rule: resizeScalePct,
			options: defaults(Bicubic, shortest(224), hw(224), imagenetMean, imagenetStd)},
		{name: "ViltImageProcessor", rule: resizeDivisible, noCrop: true, pixelMask: true,
			options: defaults(Bicubic, shortest(384), nil, halves, halves)},
		{name: "EfficientNetImageProcessor", square: true, noPad: true, topOptions: true,
			options: uncropped(defaults(Bicubic, hw(346), nil, halves, halves), hw(289))},
	}
	m := map[string]*class{}
	for _, c := range list {
		switch c.rule {
		case resizeCropPct:
			c.options.cropPct = ptr(224.0 / 256)
		case resizeScalePct:
			c.options.cropPct = ptr(0.9)
		case resizeDivisible:
			c.options.sizeDivisor, c.options.pad = ptr(32), true
		}
		c.options.includeTop = c.topOptions
		m[c.name] = c
	}
	return m
}()

func ptr[T any](v T) *T { return &v }

// classOf finds a class by image_processor_type or the older
// feature_extractor_type; the suffixes of backends are dropped.
func classOf(name string) *class {
	name = strings.Replace(name, "FeatureExtractor", "ImageProcessor", 1)
	name = strings.TrimSuffix(strings.TrimSuffix(name, "Fast"), "Pil")
	return classes[name]
}

// modelClass gives the class that Transformers chooses by the model_type of
// config.json when no image processor is named
// (models/auto/image_processing_auto.py).
var modelClass = map[string]string{
	"aimv2": "CLIPImageProcessor", "aimv2_vision_model": "CLIPImageProcessor",
	"align": "EfficientNetImageProcessor", "altclip": "CLIPImageProcessor",
	"beit": "BeitImageProcessor", "bit": "BitImageProcessor",
	"blip": "BlipImageProcessor", "blip-2": "BlipImageProcessor",
	"chinese_clip": "ChineseCLIPImageProcessor",
	"clip":         "CLIPImageProcessor", "clipseg": "ViTImageProcessor",
	"convnext": "ConvNextImageProcessor", "convnextv2": "ConvNextImageProcessor",
	"cvt": "ConvNextImageProcessor", "data2vec-vision": "BeitImageProcessor",
	"deit": "DeiTImageProcessor", "dinat": "ViTImageProcessor", "dinov2": "BitImageProcessor",
	"efficientnet": "EfficientNetImageProcessor", "florence2": "CLIPImageProcessor",
	"focalnet": "BitImageProcessor", "git": "CLIPImageProcessor", "groupvit": "CLIPImageProcessor",
	"hiera": "BitImageProcessor", "ijepa": "ViTImageProcessor", "instructblip": "BlipImageProcessor",
	"kosmos-2": "CLIPImageProcessor", "levit": "LevitImageProcessor",
	"metaclip_2": "CLIPImageProcessor", "mgp-str": "ViTImageProcessor", "mlcd": "CLIPImageProcessor",
	"mobilenet_v1": "MobileNetV1ImageProcessor", "mobilenet_v2": "MobileNetV2ImageProcessor",
	"owlvit": "OwlViTImageProcessor", "paligemma": "SiglipImageProcessor",
	"pixio": "BitImageProcessor", "poolformer": "PoolFormerImageProcessor",
	"pvt": "PvtImageProcessor", "pvt_v2": "PvtImageProcessor",
	"regnet": "ConvNextImageProcessor", "resnet": "ConvNextImageProcessor",
	"segformer": "SegformerImageProcessor", "siglip": "SiglipImageProcessor",
	"swiftformer": "ViTImageProcessor", "swin": "ViTImageProcessor", "swinv2": "ViTImageProcessor",
	"trocr": "ViTImageProcessor", "upernet": "SegformerImageProcessor",
	"vilt": "ViltImageProcessor", "vipllava": "CLIPImageProcessor", "vit": "ViTImageProcessor",
	"vit_mae": "ViTImageProcessor", "vit_msn": "ViTImageProcessor", "xclip": "CLIPImageProcessor",
}
