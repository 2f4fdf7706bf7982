package vision

import (
	"slices"
	"strings"
)

// resizeRule is how a class turns "size" into the size to resize to.
type resizeRule int

const (
	resizeSize      resizeRule = iota // PilBackend.resize
	resizeCropPct                     // ConvNextImageProcessor: shrink to size/crop_pct and crop, or warp
	resizeScalePct                    // PoolFormerImageProcessor: scale size by 1/crop_pct
	resizeLevit                       // LevitImageProcessor: the shortest edge scaled by 256/224
	resizeDivisible                   // ViltImageProcessor: both edges a multiple of size_divisor, the longest limited
	resizeRoundUp                     // TextNetImageProcessor: both edges rounded up to size_divisor
	resizeRoundDown                   // GLPNImageProcessor: the picture's own edges rounded down to size_divisor
	resizeMultiple                    // DPTImageProcessor: ensure_multiple_of and keep_aspect_ratio
	resizeDetr                        // DetrImageProcessor: the shortest edge only with a limit for the longest
	resizeYolos                       // YolosImageProcessor: that, rounded down to multiples of 16
)

// class holds the defaults of an image processor class of Transformers
// (models/*/image_processing_pil_*.py) and what it does differently.
type class struct {
	name        string
	options     options
	square      bool // an integer size means a square, else the shortest edge
	rule        resizeRule
	noCrop      bool // do_center_crop is ignored
	noPad       bool // do_pad is ignored
	noNormalize bool // do_normalize is ignored
	oldRescale  bool // "rescale" is an old name of do_rescale
	oldMaxSize  bool // max_size and pad_and_return_pixel_mask are old names of size.longest_edge and do_pad
	oldSize     bool // image_size is an old name of size
	topOptions  bool // rescale_offset and include_top
	cropEdge    bool // crop_size is a shortest_edge
	cropFirst   bool // PerceiverImageProcessor: a crop relative to the picture, then the resize
	padFirst    bool // LlavaImageProcessor: do_pad makes the picture square before all else
	padMiddle   bool // DPTImageProcessor: do_pad puts the picture in the middle of multiples of size_divisor
	padBatch    bool // do_pad pads to the largest picture of the batch, whatever pad_size
	pixelMask   bool // do_pad adds pixel_mask
	flip        bool // do_flip_channel_order
}

var (
	imagenetMean = []float64{0.485, 0.456, 0.406}
	imagenetStd  = []float64{0.229, 0.224, 0.225}
	halves       = []float64{0.5, 0.5, 0.5}
	ones         = []float64{1, 1, 1}
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
	raw := func(o options) options {
		o.normalize = false
		return o
	}
	factor := func(f float64, o options) options {
		o.rescaleFactor = &f
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
		{name: "OwlViTImageProcessor", square: true, oldRescale: true,
			options: uncropped(defaults(Bicubic, hw(768), nil, clipMean, clipStd), hw(768))},
		{name: "LevitImageProcessor", rule: resizeLevit,
			options: defaults(Bicubic, shortest(224), hw(224), imagenetMean, imagenetStd)},
		{name: "ConvNextImageProcessor", rule: resizeCropPct, noPad: true,
			options: defaults(Bicubic, shortest(384), nil, halves, halves)},
		{name: "PoolFormerImageProcessor", rule: resizeScalePct,
			options: defaults(Bicubic, shortest(224), hw(224), imagenetMean, imagenetStd)},
		{name: "ViltImageProcessor", rule: resizeDivisible, noCrop: true, padBatch: true, pixelMask: true,
			options: defaults(Bicubic, shortest(384), nil, halves, halves)},
		{name: "EfficientNetImageProcessor", square: true, noPad: true, topOptions: true,
			options: uncropped(defaults(Bicubic, hw(346), nil, halves, halves), hw(289))},
		{name: "IdeficsImageProcessor", square: true, oldSize: true, options: defaults(Bicubic, hw(224), nil, clipMean, clipStd)},
		{name: "FlavaImageProcessor", square: true, noPad: true, options: defaults(Bicubic, hw(224), hw(224), clipMean, clipStd)},
		{name: "PPChart2TableImageProcessor", square: true, options: defaults(Bicubic, hw(1024), nil, clipMean, clipStd)},
		{name: "ChameleonImageProcessor", options: factor(0.0078, defaults(Lanczos, shortest(512), hw(512), ones, ones))},
		{name: "LlavaImageProcessor", padFirst: true, options: defaults(Bicubic, shortest(224), hw(224), clipMean, clipStd)},
		{name: "PerceiverImageProcessor", square: true, noPad: true, cropFirst: true,
			options: defaults(Bicubic, hw(224), hw(256), imagenetMean, imagenetStd)},
		{name: "TextNetImageProcessor", noPad: true, rule: resizeRoundUp,
			options: uncropped(defaults(Bilinear, shortest(640), nil, imagenetMean, imagenetStd), hw(224))},
		{name: "GLPNImageProcessor", square: true, noCrop: true, noPad: true, rule: resizeRoundDown,
			options: raw(defaults(Bilinear, nil, nil, nil, nil))},
		{name: "DPTImageProcessor", square: true, noCrop: true, padMiddle: true, rule: resizeMultiple,
			options: defaults(Bicubic, hw(384), nil, halves, halves)},
		{name: "MobileViTImageProcessor", noPad: true, noNormalize: true, flip: true,
			options: raw(defaults(Bicubic, shortest(224), hw(256), halves, halves))},
		{name: "BridgeTowerImageProcessor", rule: resizeDivisible, cropEdge: true, padBatch: true, pixelMask: true,
			options: defaults(Bicubic, shortest(288), shortest(288), clipMean, clipStd)},
		{name: "RTDetrImageProcessor", rule: resizeDetr, noCrop: true, pixelMask: true,
			options: raw(defaults(Bilinear, hw(640), nil, imagenetMean, imagenetStd))},
	}
	for _, name := range []string{"Detr", "ConditionalDetr", "DeformableDetr", "GroundingDino", "Yolos"} {
		c := &class{name: name + "ImageProcessor", rule: resizeDetr, noCrop: true, oldMaxSize: true, pixelMask: true,
			options: defaults(Bilinear, &size{shortestEdge: 800, longestEdge: 1333}, nil, imagenetMean, imagenetStd)}
		if name == "Yolos" {
			c.rule = resizeYolos
		}
		c.options.pad = true
		list = append(list, c)
	}
	converted := []string{"CLIP", "ChineseCLIP", "Bit", "Blip", "Siglip", "OwlViT", "Idefics", "Chameleon", "Llava", "TextNet"}
	m := map[string]*class{}
	for _, c := range list {
		c.options.convertRGB = slices.Contains(converted, strings.TrimSuffix(c.name, "ImageProcessor"))
		switch c.rule {
		case resizeCropPct:
			c.options.cropPct = ptr(224.0 / 256)
		case resizeScalePct:
			c.options.cropPct = ptr(0.9)
		case resizeDivisible, resizeRoundUp, resizeRoundDown:
			c.options.sizeDivisor = ptr(32)
			c.options.pad = c.rule == resizeDivisible
		case resizeMultiple:
			c.options.multiple = 1
		}
		c.options.flip = c.flip
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
	"aimv2":              "CLIPImageProcessor",
	"aimv2_vision_model": "CLIPImageProcessor",
	"align":              "EfficientNetImageProcessor",
	"altclip":            "CLIPImageProcessor",
	"beit":               "BeitImageProcessor",
	"bit":                "BitImageProcessor",
	"blip":               "BlipImageProcessor",
	"blip-2":             "BlipImageProcessor",
	"bridgetower":        "BridgeTowerImageProcessor",
	"chameleon":          "ChameleonImageProcessor",
	"chinese_clip":       "ChineseCLIPImageProcessor",
	"clip":               "CLIPImageProcessor",
	"clipseg":            "ViTImageProcessor",
	"colpali":            "SiglipImageProcessor",
	"conditional_detr":   "ConditionalDetrImageProcessor",
	"convnext":           "ConvNextImageProcessor",
	"convnextv2":         "ConvNextImageProcessor",
	"cvt":                "ConvNextImageProcessor",
	"data2vec-vision":    "BeitImageProcessor",
	"deformable_detr":    "DeformableDetrImageProcessor",
	"deimv2":             "RTDetrImageProcessor",
	"deit":               "DeiTImageProcessor",
	"depth_anything":     "DPTImageProcessor",
	"detr":               "DetrImageProcessor",
	"dinat":              "ViTImageProcessor",
	"dinov2":             "BitImageProcessor",
	"dpt":                "DPTImageProcessor",
	"efficientnet":       "EfficientNetImageProcessor",
	"flava":              "FlavaImageProcessor",
	"florence2":          "CLIPImageProcessor",
	"focalnet":           "BitImageProcessor",
	"gemma3n":            "SiglipImageProcessor",
	"git":                "CLIPImageProcessor",
	"glpn":               "GLPNImageProcessor",
	"grounding-dino":     "GroundingDinoImageProcessor",
	"groupvit":           "CLIPImageProcessor",
	"hiera":              "BitImageProcessor",
	"idefics":            "IdeficsImageProcessor",
	"ijepa":              "ViTImageProcessor",
	"instructblip":       "BlipImageProcessor",
	"kosmos-2":           "CLIPImageProcessor",
	"levit":              "LevitImageProcessor",
	"llava":              "LlavaImageProcessor",
	"lw_detr":            "DeformableDetrImageProcessor",
	"metaclip_2":         "CLIPImageProcessor",
	"mgp-str":            "ViTImageProcessor",
	"mlcd":               "CLIPImageProcessor",
	"mm-grounding-dino":  "GroundingDinoImageProcessor",
	"mobilenet_v1":       "MobileNetV1ImageProcessor",
	"mobilenet_v2":       "MobileNetV2ImageProcessor",
	"mobilevit":          "MobileViTImageProcessor",
	"mobilevitv2":        "MobileViTImageProcessor",
	"omdet-turbo":        "DetrImageProcessor",
	"owlvit":             "OwlViTImageProcessor",
	"paligemma":          "SiglipImageProcessor",
	"perceiver":          "PerceiverImageProcessor",
	"pixio":              "BitImageProcessor",
	"poolformer":         "PoolFormerImageProcessor",
	"pp_chart2table":     "PPChart2TableImageProcessor",
	"pvt":                "PvtImageProcessor",
	"pvt_v2":             "PvtImageProcessor",
	"regnet":             "ConvNextImageProcessor",
	"resnet":             "ConvNextImageProcessor",
	"rt_detr":            "RTDetrImageProcessor",
	"segformer":          "SegformerImageProcessor",
	"siglip":             "SiglipImageProcessor",
	"swiftformer":        "ViTImageProcessor",
	"swin":               "ViTImageProcessor",
	"swinv2":             "ViTImageProcessor",
	"table-transformer":  "DetrImageProcessor",
	"textnet":            "TextNetImageProcessor",
	"trocr":              "ViTImageProcessor",
	"upernet":            "SegformerImageProcessor",
	"vilt":               "ViltImageProcessor",
	"vipllava":           "CLIPImageProcessor",
	"vit":                "ViTImageProcessor",
	"vit_mae":            "ViTImageProcessor",
	"vit_msn":            "ViTImageProcessor",
	"xclip":              "CLIPImageProcessor",
	"yolos":              "YolosImageProcessor",
}
