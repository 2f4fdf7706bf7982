// Package clip is CLIP, a text encoder and an image encoder whose outputs lie
// in one space, and SigLIP, the same trained with another loss.
//
// Papers: Radford et al. 2021, arXiv:2103.00020 (CLIP); Zhai et al. 2023,
// arXiv:2303.15343 (SigLIP). Reference: transformers 5.23, models/{clip,siglip}.
//
// SigLIP's text encoder sees both ways and pools the last position, padding
// included; its image encoder has no class token and pools by attention.
package clip
