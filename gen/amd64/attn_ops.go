package main

// attnOps are the generators of attention's kernels.
var attnOps = map[string]func(){
	"attn_f32_avx2": func() {
		attnProduct(avx2)
		attnSoftmax(avx2)
		attnPack()
		attnKeys()
	},
	"attn_f32_avx512": func() {
		attnProduct(avx512)
		attnSoftmax(avx512)
	},
}
