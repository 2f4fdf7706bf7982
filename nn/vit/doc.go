// Package vit is the Vision Transformer and DeiT, with the heads that Hugging
// Face puts on them: pooler, image classification (DeiT's with its teacher's
// head too) and masked image modelling.
//
// Papers: Dosovitskiy et al. 2020, arXiv:2010.11929 (ViT); Touvron et al. 2020,
// arXiv:2012.12877 (DeiT); Xie et al. 2021, arXiv:2111.09886 (SimMIM).
// Reference: transformers 5.23, models/{vit,deit}.
//
// A base model whose checkpoint holds no pooler, as add_pooling_layer=False
// saves it, gives no pooler_output.
package vit
