// Package vision turns picture files into the tensors that vision models take,
// with the values that Hugging Face Transformers' Pillow path gives:
//
//   - [Decode] and [Open] read PNG, JPEG, GIF, BMP, WebP and TIFF into 8-bit RGB
//     as transformers.image_utils.load_image does: EXIF orientation applied, then
//     Pillow's convert("RGB").
//   - [Resize] is Pillow's Image.resize to the byte, antialiasing and fixed-point
//     arithmetic included.
//   - [ParseProcessor] reads preprocessor_config.json and [Processor.Process]
//     does what the image processor of that class does (resize, crop, rescale,
//     normalise, pad), for the classes that give one 3×H×W picture: those of
//     ViT, DeiT, CLIP, SigLIP, BLIP, BEiT, ConvNeXT, DETR, DPT and their like.
//     A class that is not implemented is [ErrUnsupported].
//
// Lossless formats give Pillow's pixels exactly, and so does JPEG, whose inverse
// DCT, chroma upsampling and colour conversion are those of libjpeg-turbo.
//
// The references are Pillow 13.0 and Transformers 5.23.
package vision
