package nn

import (
	"fmt"

	"github.com/seed-512d3d71/weft/internal/hfconfig"
)

// NumLabels returns the number of labels of a classification head: the length
// of id2label, else num_labels, else 2, as PreTrainedConfig has it.
func NumLabels(c *hfconfig.Config) int {
	if c.Has("id2label") && !c.Null("id2label") {
		return c.Sub("id2label").Len()
	}
	return c.Dim("num_labels", 2)
}

// CheckHeads returns an error unless heads divides the width.
func CheckHeads(width, heads int) error {
	if heads < 1 || width%heads != 0 {
		return fmt.Errorf("hidden size %d is not a multiple of %d attention heads", width, heads)
	}
	return nil
}

// Pair reads a size that is one integer or two (height, width).
func Pair(c *hfconfig.Config, key string, def int) [2]int {
	if two, ok := c.List(key); ok {
		if len(two) == 2 && two[0] >= 1 && two[1] >= 1 && two[0] < 1<<24 && two[1] < 1<<24 {
			return [2]int{two[0], two[1]}
		}
		c.Fail(key, "%v, want one size or height and width", two)
		return [2]int{def, def}
	}
	n := c.Dim(key, def)
	return [2]int{n, n}
}
