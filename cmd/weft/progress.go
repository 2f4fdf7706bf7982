package main

import (
	"fmt"
	"os"
	"time"
)

// progress returns a function that shows how far long work is, one line that
// is rewritten, and a function that clears the line. Both do nothing unless
// stderr is a terminal.
func (c *call) progress(what string) (show func(done, total int), clear func()) {
	f, ok := c.stderr.(*os.File)
	if ok {
		st, err := f.Stat()
		ok = err == nil && st.Mode()&os.ModeCharDevice != 0
	}
	if !ok {
		return func(int, int) {}, func() {}
	}
	start := time.Now()
	last, shown := start, false
	show = func(done, total int) {
		now := time.Now()
		if now.Sub(last) < 200*time.Millisecond {
			return
		}
		last, shown = now, true
		left := time.Duration(float64(now.Sub(start)) * float64(total-done) / float64(max(1, done))).Round(time.Second)
		fmt.Fprintf(f, "\r\x1b[K%d of %d %s, %v left", done, total, what, left)
	}
	clear = func() {
		if shown {
			fmt.Fprint(f, "\r\x1b[K")
		}
	}
	return show, clear
}
