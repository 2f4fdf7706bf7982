//go:build (!amd64 && !arm64) || purego

package kernels

var attentionF32 = family[attnRow]{op: "attention_f32", rows: []row[attnRow]{{name: "ref.AttentionRowF32", isa: ISARef}}}
