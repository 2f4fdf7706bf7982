// Package audio turns sound files into the tensors that speech models take,
// with the values that Hugging Face Transformers' feature extractors give:
//
//   - [Decode] and [Open] read WAV and FLAC into float32 samples, with the values
//     of libsndfile.
//   - [Clip.Mono] averages the channels and [Resample] changes the rate as
//     torchaudio.functional.resample does by default.
//   - [ParseExtractor] reads preprocessor_config.json and [Extractor.Process] does
//     what the feature extractor of that class does: normalised samples for
//     wav2vec 2.0 and its relatives, log-mel spectra for Whisper, Kaldi's filter
//     banks for AST, Speech2Text and SeamlessM4T.
//
// The references are soundfile 0.14 (libsndfile 1.2.2), torchaudio 2.11 and
// Transformers 5.23.
package audio
