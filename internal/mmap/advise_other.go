//go:build !linux

package mmap

// Discard tells the system that b, a part of the mapping, will not be read
// soon. Here it does nothing.
func (m *Mapping) Discard(b []byte) {}

// AdviseHuge asks for huge pages behind b. Here it does nothing.
func AdviseHuge(b []byte) {}
