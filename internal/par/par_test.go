package par

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
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
	if n := len(pool.active); n != 0 {
		t.Errorf("%d passes under way after all have left", n)
	}
}

func TestShares(t *testing.T) {
	old := runtime.GOMAXPROCS(4)
	defer runtime.GOMAXPROCS(old)
	threads := func(want ...int) func(teams ...*Team) {
		return func(teams ...*Team) {
			t.Helper()
			for i, team := range teams {
				if got := team.Threads(); got != want[i] {
					t.Errorf("team %d of %d has %d threads, want %d", i, len(teams), got, want[i])
				}
			}
		}
	}
	a := Enter(3)
	threads(3)(a)
	b := Enter(0)
	threads(2, 2)(a, b)
	c := Enter(0)
	threads(2, 1, 1)(a, b, c)
	others := []*Team{Enter(0), Enter(0), Enter(0)}
	threads(1, 1, 1)(others...)
	threads(1, 1, 1)(a, b, c)
	for _, o := range others {
		o.Leave()
	}
	threads(2, 1, 1)(a, b, c)
	b.Leave()
	threads(3, 1)(a, c) // c cannot grow
	a.Leave()
	c.Leave()
	d := Enter(0)
	threads(4)(d)
	d.Leave()
	if n := (*Team)(nil).Threads(); n != 1 {
		t.Errorf("nil team has %d threads", n)
	}
	(*Team)(nil).Leave()
}

// TestStandsBack: a worker whose place another pass has taken does no chunks,
// and works again when the place is free.
func TestStandsBack(t *testing.T) {
	old := runtime.GOMAXPROCS(2)
	defer runtime.GOMAXPROCS(old)
	a := Enter(2)
	defer a.Leave()
	b := Enter(2)
	var inside, most atomic.Int32
	task := &count{hits: make([]atomic.Int32, 64), f: func(int) {
		n := inside.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(10 * time.Microsecond)
		inside.Add(-1)
	}}
	a.Run(task, 64)
	if most.Load() != 1 {
		t.Errorf("%d threads in a team that has one", most.Load())
	}
	b.Leave()
	gate := make(chan struct{})
	var n atomic.Int32
	a.Run(&count{hits: make([]atomic.Int32, 2), f: func(int) { // both threads are needed
		if n.Add(1) == 2 {
			close(gate)
		}
		<-gate
	}}, 2)
}

// TestOneProcessor: with GOMAXPROCS 1 a pass is its caller alone.
func TestOneProcessor(t *testing.T) {
	old := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(old)
	team := Enter(8)
	defer team.Leave()
	c := &count{hits: make([]atomic.Int32, 100)}
	team.Run(c, 100)
	if team.Threads() != 1 || c.hits[99].Load() != 1 {
		t.Error(team.Threads())
	}
}

// TestProcessorsTaken: workers that cannot run hold up nobody, and a processor
// taken away in the middle of a pass does no harm.
func TestProcessorsTaken(t *testing.T) {
	old := runtime.GOMAXPROCS(4)
	defer runtime.GOMAXPROCS(old)
	team := Enter(4)
	defer team.Leave()
	runtime.GOMAXPROCS(1)
	for range 200 {
		c := &count{hits: make([]atomic.Int32, 16)}
		team.Run(c, 16)
		for i := range c.hits {
			if n := c.hits[i].Load(); n != 1 {
				t.Fatalf("chunk %d done %d times", i, n)
			}
		}
	}
}

// TestGoroutinesEnd: no goroutine outlives the passes for long.
func TestGoroutinesEnd(t *testing.T) {
	old := runtime.GOMAXPROCS(8)
	defer runtime.GOMAXPROCS(old)
	free := func() int {
		pool.mu.Lock()
		defer pool.mu.Unlock()
		return len(pool.free)
	}
	for deadline := time.Now().Add(10 * time.Second); free() > 0 && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond) // workers of other tests
	}
	before := runtime.NumGoroutine()
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for range 20 {
				team := Enter(0)
				team.Run(&count{hits: make([]atomic.Int32, 32)}, 32)
				time.Sleep(100 * time.Microsecond)
				team.Leave()
			}
		})
	}
	wg.Wait()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if n := runtime.NumGoroutine(); n <= before && free() == 0 {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before; %d free workers", n, before, free())
		}
	}
}

func TestParkedWorkerWakes(t *testing.T) {
	old := runtime.GOMAXPROCS(4)
	defer runtime.GOMAXPROCS(old)
	team := Enter(4)
	defer team.Leave()
	for range 3 {
		time.Sleep(10 * spinFor)
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

// TestFault: a chunk that reads memory that is not there panics in Run's
// goroutine, whichever thread it was on.
func TestFault(t *testing.T) {
	old := runtime.GOMAXPROCS(2)
	defer runtime.GOMAXPROCS(old)
	team := Enter(2)
	defer team.Leave()
	caller := make(chan struct{})
	var n atomic.Int32
	c := &count{hits: make([]atomic.Int32, 2), f: func(int) {
		if n.Add(1) == 1 { // hold the first thread until the second has died
			<-caller
			return
		}
		defer close(caller)
		var p *int
		*p = 1
	}}
	defer func() {
		if _, ok := recover().(runtime.Error); !ok {
			t.Error("the fault is not the runtime's error")
		}
	}()
	team.Run(c, 2)
}

// busy is work of a known length: a chain of multiplications.
type busy struct{ perChunk int }

var sink atomic.Uint64

func (b busy) Do(int) {
	x := uint64(1)
	for range b.perChunk {
		x = x*6364136223846793005 + 1442695040888963407
	}
	sink.Store(x)
}

// BenchmarkRegion measures a region of 0, 5, 20 and 100 µs of work in 8
// chunks, in a pass (hot workers). "µs-over" is what the fastest region takes
// beyond its work divided by the threads: on a machine with other work the mean
// says little.
func BenchmarkRegion(b *testing.B) {
	const chunks = 8
	step := func() float64 { // ns of one multiplication
		best := time.Hour
		for range 20 {
			start := time.Now()
			busy{1 << 16}.Do(0)
			best = min(best, time.Since(start))
		}
		return float64(best) / (1 << 16)
	}()
	for _, threads := range []int{1, 2} {
		for _, us := range []int{0, 5, 20, 100} {
			b.Run(fmt.Sprintf("threads=%d/work=%dus", threads, us), func(b *testing.B) {
				task := Task(&busy{int(float64(us*1000) / step / chunks)})
				team := Enter(threads)
				defer team.Leave()
				best := time.Hour
				for b.Loop() {
					start := time.Now()
					team.Run(task, chunks)
					best = min(best, time.Since(start))
				}
				b.ReportMetric(float64(best.Nanoseconds())/1000-float64(us)/float64(team.Threads()), "µs-over")
			})
		}
	}
}

// BenchmarkPass measures a pass after a pause: Enter, a first region whose two
// chunks wait for each other (so that it includes the wake of a worker), Leave.
func BenchmarkPass(b *testing.B) {
	var n atomic.Int32
	both := &count{hits: make([]atomic.Int32, 2), f: func(int) {
		n.Add(1)
		for spins := 1; n.Load() < 2; spins++ {
			if spins%spinBatch == 0 {
				runtime.Gosched()
			}
		}
	}}
	if runtime.GOMAXPROCS(0) < 2 {
		b.Skip("one processor")
	}
	for _, pause := range []time.Duration{0, 3 * time.Millisecond} {
		b.Run(fmt.Sprintf("pause=%v", pause), func(b *testing.B) {
			var times []time.Duration
			for b.Loop() {
				time.Sleep(pause)
				n.Store(0)
				start := time.Now()
				team := Enter(2)
				team.Run(both, 2)
				team.Leave()
				times = append(times, time.Since(start))
			}
			slices.Sort(times)
			b.ReportMetric(float64(times[0].Nanoseconds())/1000, "µs-min")
			b.ReportMetric(float64(times[len(times)/2].Nanoseconds())/1000, "µs-median")
		})
	}
}
