//go:build !purego

package kernels

import "github.com/seed-512d3d71/weft/kernels/arm64"

var attentionF32 = family[attnRow]{op: "attention_f32", rows: []row[attnRow]{
	{name: "AttnProductF32Rows6NEON", isa: ISANEON, tile: "6x16", impl: attnRow{
		rows: 6, product: attnProductNEON, keys: attnKeysNEON, values: attnValuesNEON, packKeys: arm64.AttnPackKeysF32NEON, packValues: arm64.AttnPackValuesF32NEON,
		scores: arm64.AttnScoresF32NEON, exp: arm64.AttnExpF32NEON, scale: arm64.AttnScaleF32NEON, finish: arm64.AttnFinishF32NEON,
	}},
	{name: "ref.AttentionRowF32", isa: ISARef},
}}

func attnProductNEON(h int, a *float32, lda int, b *float32, ldb int, c *float32, ldc, k, panels int, add bool) {
	switch h {
	case 6:
		arm64.AttnProductF32Rows6NEON(a, lda, b, ldb, c, ldc, k, panels, add)
	case 5:
		arm64.AttnProductF32Rows5NEON(a, lda, b, ldb, c, ldc, k, panels, add)
	case 4:
		arm64.AttnProductF32Rows4NEON(a, lda, b, ldb, c, ldc, k, panels, add)
	case 3:
		arm64.AttnProductF32Rows3NEON(a, lda, b, ldb, c, ldc, k, panels, add)
	case 2:
		arm64.AttnProductF32Rows2NEON(a, lda, b, ldb, c, ldc, k, panels, add)
	case 1:
		arm64.AttnProductF32Rows1NEON(a, lda, b, ldb, c, ldc, k, panels, add)
	default:
		panic("kernels: no such tile")
	}
}

func attnValuesNEON(h int, a *float32, lda int, b *float32, ldb int, c *float32, ldc, k, panels int, add bool) {
	switch h {
	case 1:
		arm64.AttnValuesF32Rows1NEON(a, lda, b, ldb, c, ldc, k, panels, add)
	case 2:
		arm64.AttnValuesF32Rows2NEON(a, lda, b, ldb, c, ldc, k, panels, add)
	case 3:
		arm64.AttnValuesF32Rows3NEON(a, lda, b, ldb, c, ldc, k, panels, add)
	case 4:
		arm64.AttnValuesF32Rows4NEON(a, lda, b, ldb, c, ldc, k, panels, add)
	default:
		panic("kernels: no such tile")
	}
}

func attnKeysNEON(h int, q *float32, ldq int, k *float32, ldk int, s *float32, lds, d, groups int) {
	switch h {
	case 1:
		arm64.AttnKeysF32Rows1NEON(q, ldq, k, ldk, s, lds, d, groups)
	case 2:
		arm64.AttnKeysF32Rows2NEON(q, ldq, k, ldk, s, lds, d, groups)
	case 3:
		arm64.AttnKeysF32Rows3NEON(q, ldq, k, ldk, s, lds, d, groups)
	case 4:
		arm64.AttnKeysF32Rows4NEON(q, ldq, k, ldk, s, lds, d, groups)
	default:
		panic("kernels: no such tile")
	}
}
