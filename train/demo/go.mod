module github.com/seed-512d3d71/weft/train/demo

go 1.26.0
