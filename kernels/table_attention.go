package kernels

// attentionFamilies are the products of attention.
var attentionFamilies = []anyFamily{&attentionF32}
