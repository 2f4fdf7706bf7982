//go:build !purego

package kernels

import "github.com/seed-512d3d71/weft/kernels/amd64"

var attentionF32 = family[attnRow]{op: "attention_f32", rows: []row[attnRow]{
	{name: "AttnProductF32Rows12AVX512", isa: ISAAVX512, tile: "12x32", impl: attnRow{
		rows: 12, product: attnProductAVX512, keys: attnKeysAVX2, values: attnValuesAVX512, packKeys: amd64.AttnPackKeysF32AVX2, packValues: amd64.AttnPackValuesF32AVX2,
		scores: amd64.AttnScoresF32AVX512, exp: amd64.AttnExpF32AVX512, scale: amd64.AttnScaleF32AVX512, finish: amd64.AttnFinishF32AVX512,
	}},
	{name: "AttnProductF32Rows6AVX2", isa: ISAAVX2, tile: "6x16", impl: attnRow{
		rows: 6, product: attnProductAVX2, keys: attnKeysAVX2, values: attnValuesAVX2, packKeys: amd64.AttnPackKeysF32AVX2, packValues: amd64.AttnPackValuesF32AVX2,
		scores: amd64.AttnScoresF32AVX2, exp: amd64.AttnExpF32AVX2, scale: amd64.AttnScaleF32AVX2, finish: amd64.AttnFinishF32AVX2,
	}},
	{name: "ref.AttentionRowF32", isa: ISARef},
}}

func attnProductAVX512(h int, a *float32, lda int, b *float32, ldb int, c *float32, ldc, k, panels int, add bool) {
	switch h {
	case 12:
		amd64.AttnProductF32Rows12AVX512(a, lda, b, ldb, c, ldc, k, panels, add)
	case 11:
		amd64.AttnProductF32Rows11AVX512(a, lda, b, ldb, c, ldc, k, panels, add)
	case 10:
		amd64.AttnProductF32Rows10AVX512(a, lda, b, ldb, c, ldc, k, panels, add)
	case 9:
		amd64.AttnProductF32Rows9AVX512(a, lda, b, ldb, c, ldc, k, panels, add)
	case 8:
		amd64.AttnProductF32Rows8AVX512(a, lda, b, ldb, c, ldc, k, panels, add)
	case 7:
		amd64.AttnProductF32Rows7AVX512(a, lda, b, ldb, c, ldc, k, panels, add)
	case 6:
		amd64.AttnProductF32Rows6AVX512(a, lda, b, ldb, c, ldc, k, panels, add)
	case 5:
		amd64.AttnProductF32Rows5AVX512(a, lda, b, ldb, c, ldc, k, panels, add)
	case 4:
		amd64.AttnProductF32Rows4AVX512(a, lda, b, ldb, c, ldc, k, panels, add)
	case 3:
		amd64.AttnProductF32Rows3AVX512(a, lda, b, ldb, c, ldc, k, panels, add)
	case 2:
		amd64.AttnProductF32Rows2AVX512(a, lda, b, ldb, c, ldc, k, panels, add)
	case 1:
		amd64.AttnProductF32Rows1AVX512(a, lda, b, ldb, c, ldc, k, panels, add)
	default:
		panic("kernels: no such tile")
	}
}

func attnProductAVX2(h int, a *float32, lda int, b *float32, ldb int, c *float32, ldc, k, panels int, add bool) {
	switch h {
	case 6:
		amd64.AttnProductF32Rows6AVX2(a, lda, b, ldb, c, ldc, k, panels, add)
	case 5:
		amd64.AttnProductF32Rows5AVX2(a, lda, b, ldb, c, ldc, k, panels, add)
	case 4:
		amd64.AttnProductF32Rows4AVX2(a, lda, b, ldb, c, ldc, k, panels, add)
	case 3:
		amd64.AttnProductF32Rows3AVX2(a, lda, b, ldb, c, ldc, k, panels, add)
	case 2:
		amd64.AttnProductF32Rows2AVX2(a, lda, b, ldb, c, ldc, k, panels, add)
	case 1:
		amd64.AttnProductF32Rows1AVX2(a, lda, b, ldb, c, ldc, k, panels, add)
	default:
		panic("kernels: no such tile")
	}
}

func attnValuesAVX512(h int, a *float32, lda int, b *float32, ldb int, c *float32, ldc, k, panels int, add bool) {
	switch h {
	case 1:
		amd64.AttnValuesF32Rows1AVX512(a, lda, b, ldb, c, ldc, k, panels, add)
	case 2:
		amd64.AttnValuesF32Rows2AVX512(a, lda, b, ldb, c, ldc, k, panels, add)
	case 3:
		amd64.AttnValuesF32Rows3AVX512(a, lda, b, ldb, c, ldc, k, panels, add)
	case 4:
		amd64.AttnValuesF32Rows4AVX512(a, lda, b, ldb, c, ldc, k, panels, add)
	default:
		panic("kernels: no such tile")
	}
}

func attnValuesAVX2(h int, a *float32, lda int, b *float32, ldb int, c *float32, ldc, k, panels int, add bool) {
	switch h {
	case 1:
		amd64.AttnValuesF32Rows1AVX2(a, lda, b, ldb, c, ldc, k, panels, add)
	case 2:
		amd64.AttnValuesF32Rows2AVX2(a, lda, b, ldb, c, ldc, k, panels, add)
	case 3:
		amd64.AttnValuesF32Rows3AVX2(a, lda, b, ldb, c, ldc, k, panels, add)
	case 4:
		amd64.AttnValuesF32Rows4AVX2(a, lda, b, ldb, c, ldc, k, panels, add)
	default:
		panic("kernels: no such tile")
	}
}

func attnKeysAVX2(h int, q *float32, ldq int, k *float32, ldk int, s *float32, lds, d, groups int) {
	switch h {
	case 1:
		amd64.AttnKeysF32Rows1AVX2(q, ldq, k, ldk, s, lds, d, groups)
	case 2:
		amd64.AttnKeysF32Rows2AVX2(q, ldq, k, ldk, s, lds, d, groups)
	case 3:
		amd64.AttnKeysF32Rows3AVX2(q, ldq, k, ldk, s, lds, d, groups)
	case 4:
		amd64.AttnKeysF32Rows4AVX2(q, ldq, k, ldk, s, lds, d, groups)
	default:
		panic("kernels: no such tile")
	}
}
