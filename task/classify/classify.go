// Package classify turns the logits of a classification head into labels.
package classify

import (
	"fmt"
	"math"
	"sort"
	"strconv"

	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

// Label is one class and its score in [0, 1].
type Label struct {
	ID    int     `json:"id"`
	Name  string  `json:"label"`
	Score float32 `json:"score"`
}

// Labels are the names of a model's classes and how its logits become scores.
type Labels struct {
	names []string
	multi bool
}

// New reads id2label and problem_type of config.json.
func New(c *hfconfig.Config) (*Labels, error) {
	l := &Labels{multi: c.Str("problem_type", "") == "multi_label_classification"}
	n := nn.NumLabels(c)
	l.names = make([]string, n)
	var names *hfconfig.Config
	if c.Has("id2label") && !c.Null("id2label") {
		names = c.Sub("id2label")
	}
	for i := range l.names {
		l.names[i] = fmt.Sprintf("LABEL_%d", i)
		if names != nil {
			l.names[i] = names.Str(strconv.Itoa(i), l.names[i])
		}
	}
	if err := c.Err(); err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	return l, nil
}

// Name returns the name of class id.
func (l *Labels) Name(id int) string { return l.names[id] }

// Rank returns the classes of each row of logits [B, N], best first: softmax
// over the row, or a sigmoid each where labels do not exclude one another or
// there is only one, as Hugging Face's pipelines have it.
func (l *Labels) Rank(logits tensor.Tensor) ([][]Label, error) {
	if logits.IsZero() {
		return nil, nn.Unsupported("classification with a class that has no logits")
	}
	if logits.Rank() != 2 || logits.Cols() != len(l.names) {
		return nil, nn.Unsupported("classification by logits %v, want one row of %d labels a sample", logits, len(l.names))
	}
	out := make([][]Label, logits.Rows())
	n := len(l.names)
	for r := range out {
		row := logits.F32()[r*n : (r+1)*n]
		top := math.Inf(-1)
		for _, v := range row {
			top = math.Max(top, float64(v))
		}
		sum := 0.0
		for _, v := range row {
			sum += math.Exp(float64(v) - top)
		}
		out[r] = make([]Label, n)
		for i, v := range row {
			score := math.Exp(float64(v)-top) / sum
			if l.multi || n == 1 {
				score = 1 / (1 + math.Exp(-float64(v)))
			}
			out[r][i] = Label{ID: i, Name: l.names[i], Score: float32(score)}
		}
		sort.SliceStable(out[r], func(a, b int) bool { return out[r][a].Score > out[r][b].Score })
	}
	return out, nil
}
