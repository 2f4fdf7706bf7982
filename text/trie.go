package text

// trie finds the strings that a text begins with. Nodes with many children get
// a table; the others keep a short list.
type trie struct{ nodes []trieNode }

type trieNode struct {
	labels   []byte
	children []int32
	table    *[256]int32 // child by label, 0 for none; instead of the list
	id       int32       // of the string that ends here, plus one; 0 for none
}

// maxListed is the number of children up to which a list does.
const maxListed = 8

func (t *trie) child(n int32, c byte) int32 {
	node := &t.nodes[n]
	if node.table != nil {
		return node.table[c]
	}
	for i, l := range node.labels {
		if l == c {
			return node.children[i]
		}
	}
	return 0
}

// insert adds s; an id that s had before is replaced.
func (t *trie) insert(s string, id int) {
	if len(t.nodes) == 0 {
		t.nodes = make([]trieNode, 1)
	}
	n := int32(0)
	for i := 0; i < len(s); i++ {
		next := t.child(n, s[i])
		if next == 0 {
			next = int32(len(t.nodes))
			t.nodes = append(t.nodes, trieNode{})
			t.link(n, s[i], next)
		}
		n = next
	}
	t.nodes[n].id = int32(id) + 1
}

func (t *trie) link(n int32, c byte, next int32) {
	node := &t.nodes[n]
	if node.table == nil && len(node.labels) == maxListed {
		node.table = new([256]int32)
		for i, l := range node.labels {
			node.table[l] = node.children[i]
		}
		node.labels, node.children = nil, nil
	}
	if node.table != nil {
		node.table[c] = next
		return
	}
	node.labels = append(node.labels, c)
	node.children = append(node.children, next)
}

// prefixes calls f with the length and id of every string that s begins with,
// shortest first; the empty string does not count.
func (t *trie) prefixes(s string, f func(n, id int)) {
	if len(t.nodes) == 0 {
		return
	}
	n := int32(0)
	for i := 0; i < len(s); i++ {
		if n = t.child(n, s[i]); n == 0 {
			return
		}
		if id := t.nodes[n].id; id != 0 {
			f(i+1, int(id)-1)
		}
	}
}

// longest returns the longest string that s begins with.
func (t *trie) longest(s string) (n, id int, ok bool) {
	t.prefixes(s, func(k, i int) { n, id, ok = k, i, true })
	return n, id, ok
}
