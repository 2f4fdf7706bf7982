package main

// vecOps are the elementwise operations, norms and softmax.
var vecOps = map[string]func(){}
