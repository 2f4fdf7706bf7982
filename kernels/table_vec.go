package kernels

// vecFamilies are the elementwise operations, norms and softmax.
var vecFamilies = []anyFamily{}
