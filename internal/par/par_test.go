package par

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

type count struct {
	hits []atomic.Int32
	f    func(int)
}

func (c *count) Do(i int) {
	c.hits[i].Add(1)
	if c.f != nil {
		c.f(i)
	}
}

func TestRunEveryChunkOnce(t *testing.T) {
	old := runtime.GOMAXPROCS(8) // more threads than this machine may have
	defer runtime.GOMAXPROCS(old)
	var wg sync.WaitGroup
	for range 3 { // concurrent passes
		wg.Go(func() {
			for pass := range 30 {
				team := Enter(1 + pass%9)
				for region := range 40 {
					c := &count{hits: make([]atomic.Int32, region%23)}
					team.Run(c, len(c.hits))
					for i := range c.hits {
						if n := c.hits[i].Load(); n != 1 {
							t.Errorf("chunk %d of %d done %d times", i, len(c.hits), n)
						}
					}
				}
				team.Leave()
			}
		})
	}
	wg.Wait()
	if n := pool.load.Load(); n != 0 {
		t.Errorf("load %d after all passes left", n)
	}
}

func TestShares(t *testing.T) {
	old := runtime.GOMAXPROCS(4)
	defer runtime.GOMAXPROCS(old)
	a := Enter(3)
	b := Enter(0)
	c := Enter(0)
	if a.Threads() != 3 || b.Threads() != 1 || c.Threads() != 1 {
		t.Errorf("threads %d, %d, %d of 4; want 3, 1, 1", a.Threads(), b.Threads(), c.Threads())
	}
	a.Leave()
	b.Leave()
	c.Leave()
	if d := Enter(0); d.Threads() != 4 {
		t.Errorf("threads %d, want 4", d.Threads())
	} else {
		d.Leave()
	}
	if n := (*Team)(nil).Threads(); n != 1 {
		t.Errorf("nil team has %d threads", n)
	}
	(*Team)(nil).Leave()
}

func TestParkedWorkerWakes(t *testing.T) {
	old := runtime.GOMAXPROCS(4)
	defer runtime.GOMAXPROCS(old)
	team := Enter(4)
	defer team.Leave()
	for range 3 {
		time.Sleep(3 * spinFor)
		gate := make(chan struct{})
		var n atomic.Int32
		// Every chunk waits for another thread's: only woken workers can end it.
		c := &count{hits: make([]atomic.Int32, 4), f: func(int) {
			if n.Add(1) == 4 {
				close(gate)
			}
			<-gate
		}}
		team.Run(c, 4)
	}
}

func TestPanic(t *testing.T) {
	old := runtime.GOMAXPROCS(2)
	defer runtime.GOMAXPROCS(old)
	team := Enter(2)
	defer team.Leave()
	want := errors.New("x")
	for chunk := range 6 {
		c := &count{hits: make([]atomic.Int32, 6), f: func(i int) {
			if i == chunk {
				panic(want)
			}
		}}
		func() {
			defer func() {
				if e := recover(); e != want {
					t.Errorf("recovered %v, want %v", e, want)
				}
			}()
			team.Run(c, 6)
		}()
	}
	c := &count{hits: make([]atomic.Int32, 6)}
	team.Run(c, 6)
}

func TestAllocs(t *testing.T) {
	Enter(0).Leave()
	c := &count{hits: make([]atomic.Int32, 8)}
	if n := testing.AllocsPerRun(100, func() {
		team := Enter(0)
		team.Run(c, 8)
		team.Leave()
	}); n >= 1 {
		t.Errorf("%v allocations a pass", n)
	}
}

func BenchmarkRun(b *testing.B) {
	team := Enter(2)
	defer team.Leave()
	c := &count{hits: make([]atomic.Int32, 8)}
	for b.Loop() {
		team.Run(c, 8)
	}
}
