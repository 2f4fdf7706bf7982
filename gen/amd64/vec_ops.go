package main

// vecOps are the elementwise operations, norms and softmax.
var vecOps = map[string]func(){
	"vec_act_avx2":       vecFile(avx2, actRows),
	"vec_act_avx512":     vecFile(avx512, actRows),
	"vec_norm_avx2":      vecFile(avx2, vecNorm),
	"vec_norm_avx512":    vecFile(avx512, vecNorm),
	"vec_map_avx2":       vecFile(avx2, vecMap),
	"vec_map_avx512":     vecFile(avx512, vecMap),
	"vec_convert_avx2":   vecFile(avx2, func(v isa) { vecConvert(v); transpose() }),
	"vec_convert_avx512": vecFile(avx512, vecConvert),
}
