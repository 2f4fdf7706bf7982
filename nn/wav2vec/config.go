package wav2vec

import (
	"fmt"

	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/nn"
)

// Config holds the keys of config.json that change the computation.
type Config struct {
	HuBERT bool

	VocabSize         int
	HiddenSize        int
	NumHiddenLayers   int
	NumAttentionHeads int
	IntermediateSize  int
	HiddenAct         nn.Act
	LayerNormEps      float32

	FeatExtractGroupNorm bool // "group": the first convolution only; else "layer": each
	FeatExtractAct       nn.Act
	ConvDim              []int
	ConvStride           []int
	ConvKernel           []int
	ConvBias             bool
	FeatProjLayerNorm    bool
	NumConvPosEmbeddings int // width of the positional convolution
	NumConvPosGroups     int
	DoStableLayerNorm    bool
	AdapterAttnDim       int // 0: no adapters inside the layers
	AddAdapter           bool
	AdapterKernelSize    int
	AdapterStride        int
	NumAdapterLayers     int
	OutputHiddenSize     int
	ApplySpecAugment     bool // mask_time_indices counts
	ConvPosBatchNorm     bool // HuBERT: a batch norm before the positional convolution, which has no weight norm
	UseWeightedLayerSum  bool
	ClassifierProjSize   int
	TDNNDim              []int // of the x-vector head, a layer each
	TDNNKernel           []int
	TDNNDilation         []int
	XVectorOutputDim     int
	NumLabels            int

	NumCodevectorsPerGroup int // of the pre-training head's quantizer
	NumCodevectorGroups    int
	CodevectorDim          int
	ProjCodevectorDim      int
}

// ParseConfig reads config.json.
func ParseConfig(c *hfconfig.Config) (Config, error) {
	cfg := Config{
		HuBERT:               c.OneOf("model_type", "", "wav2vec2", "hubert") == "hubert",
		VocabSize:            c.Dim("vocab_size", 32),
		HiddenSize:           c.Dim("hidden_size", 768),
		NumHiddenLayers:      c.IntRange("num_hidden_layers", 12, 0, 1<<12),
		NumAttentionHeads:    c.Dim("num_attention_heads", 12),
		IntermediateSize:     c.Dim("intermediate_size", 3072),
		LayerNormEps:         float32(c.Float("layer_norm_eps", 1e-5)),
		FeatExtractGroupNorm: c.OneOf("feat_extract_norm", "group", "group", "layer") == "group",
		ConvDim:              ints(c, "conv_dim", 512, 512, 512, 512, 512, 512, 512),
		ConvStride:           ints(c, "conv_stride", 5, 2, 2, 2, 2, 2, 2),
		ConvKernel:           ints(c, "conv_kernel", 10, 3, 3, 3, 3, 2, 2),
		ConvBias:             c.Bool("conv_bias", false),
		FeatProjLayerNorm:    c.Bool("feat_proj_layer_norm", true),
		NumConvPosEmbeddings: c.Dim("num_conv_pos_embeddings", 128),
		NumConvPosGroups:     c.Dim("num_conv_pos_embedding_groups", 16),
		DoStableLayerNorm:    c.Bool("do_stable_layer_norm", false),
		ApplySpecAugment:     c.Bool("apply_spec_augment", true),
		UseWeightedLayerSum:  c.Bool("use_weighted_layer_sum", false),
		ClassifierProjSize:   c.Dim("classifier_proj_size", 256),
		TDNNDim:              ints(c, "tdnn_dim", 512, 512, 512, 512, 1500),
		TDNNKernel:           ints(c, "tdnn_kernel", 5, 3, 3, 1, 1),
		TDNNDilation:         ints(c, "tdnn_dilation", 1, 2, 3, 1, 1),
		XVectorOutputDim:     c.Dim("xvector_output_dim", 512),
		NumLabels:            nn.NumLabels(c),

		NumCodevectorsPerGroup: c.Dim("num_codevectors_per_group", 320),
		NumCodevectorGroups:    c.Dim("num_codevector_groups", 2),
		CodevectorDim:          c.Dim("codevector_dim", 256),
		ProjCodevectorDim:      c.Dim("proj_codevector_dim", 256),
	}
	cfg.OutputHiddenSize = cfg.HiddenSize
	if cfg.HuBERT {
		cfg.ConvPosBatchNorm = c.Bool("conv_pos_batch_norm", false)
	} else {
		cfg.FeatProjLayerNorm = true
		cfg.AddAdapter = c.Bool("add_adapter", false)
		cfg.AdapterKernelSize = c.Dim("adapter_kernel_size", 3)
		cfg.AdapterStride = c.Dim("adapter_stride", 2)
		cfg.NumAdapterLayers = c.IntRange("num_adapter_layers", 3, 0, 64)
		cfg.OutputHiddenSize = c.Dim("output_hidden_size", cfg.HiddenSize)
	}
	if cfg.DoStableLayerNorm && c.Has("adapter_attn_dim") && !c.Null("adapter_attn_dim") {
		cfg.AdapterAttnDim = c.Dim("adapter_attn_dim", 0)
	}
	if err := c.Err(); err != nil {
		return cfg, err
	}
	var err error
	if cfg.HiddenAct, err = nn.ParseAct(c.Str("hidden_act", "gelu")); err != nil {
		return cfg, err
	}
	if cfg.FeatExtractAct, err = nn.ParseAct(c.Str("feat_extract_activation", "gelu")); err != nil {
		return cfg, err
	}
	if err := checkLayers("conv_dim, conv_stride and conv_kernel", cfg.ConvDim, cfg.ConvStride, cfg.ConvKernel); err != nil {
		return cfg, err
	}
	if err := checkLayers("tdnn_dim, tdnn_kernel and tdnn_dilation", cfg.TDNNDim, cfg.TDNNKernel, cfg.TDNNDilation); err != nil {
		return cfg, err
	}
	if cfg.HiddenSize%cfg.NumConvPosGroups != 0 {
		return cfg, fmt.Errorf("hidden_size %d is not a multiple of num_conv_pos_embedding_groups %d", cfg.HiddenSize, cfg.NumConvPosGroups)
	}
	if g := cfg.NumCodevectorGroups; cfg.CodevectorDim%g != 0 {
		return cfg, fmt.Errorf("codevector_dim %d is not a multiple of num_codevector_groups %d", cfg.CodevectorDim, g)
	}
	if err := nn.CheckHeads(cfg.HiddenSize, cfg.NumAttentionHeads); err != nil {
		return cfg, err
	}
	return cfg, c.Err()
}

// checkLayers checks three lists that hold an entry a layer.
func checkLayers(names string, a, b, c []int) error {
	if len(a) == 0 || len(a) != len(b) || len(a) != len(c) {
		return fmt.Errorf("%s hold %d, %d and %d entries", names, len(a), len(b), len(c))
	}
	for _, list := range [][]int{a, b, c} {
		for i, v := range list {
			if v < 1 || v > 1<<20 {
				return fmt.Errorf("%s: entry %d is %d", names, i, v)
			}
		}
	}
	return nil
}

func ints(c *hfconfig.Config, key string, def ...int) []int {
	if v := c.Ints(key); v != nil {
		return v
	}
	return def
}

// Frames returns the number of feature frames of n samples.
func (c Config) Frames(n int) int {
	for i, k := range c.ConvKernel {
		n = nn.Window1D{Stride: c.ConvStride[i], Dilation: 1}.Len(n, k)
	}
	return n
}
