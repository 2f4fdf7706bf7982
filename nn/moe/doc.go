// Package moe is the sparse mixture of experts: a router chooses a few experts
// for each token, and only these compute.
//
// Tokens are gathered by expert, so that each expert sees one matrix, and the
// results are added up token by token in the order of the experts: what a token
// gets does not depend, to the bit, on what else is in the batch. Two routers
// let tokens compete, and so depend on their group (a sequence): one with a
// Capacity, and ExpertChoice.
//
// Experts are bound when a token first reaches them: see [Load].
//
//   - Shazeer et al. 2017, arXiv:1701.06538
//   - Fedus et al. 2021, Switch Transformers, arXiv:2101.03961
//   - Zhou et al. 2022, expert choice, arXiv:2202.09368
//   - Jiang et al. 2024, Mixtral, arXiv:2401.04088
package moe
