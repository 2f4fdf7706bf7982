// Package par shares the process's processors between forward passes.
//
// A pass enters, runs its many small parallel regions, and leaves. Waking a
// goroutine costs more than a small region takes (30 to 100 µs from the wake to
// the first instruction), so the workers of a [Team] spin between its regions
// and park only when it has been quiet for longer than a wake takes. A region's
// chunks are claimed one by one; the caller claims too and waits only for
// chunks that a worker has really begun, so that a worker that is slow to start
// costs nothing.
//
// Passes that overlap share GOMAXPROCS in equal parts: the workers that a team
// has beyond its part stand back between two chunks, and a part that becomes
// free goes to passes that enter after it. A pass always has its own thread.
//
// Measured on two cores of a virtual EPYC (BenchmarkRegion, BenchmarkPass): a
// region of 8 empty chunks takes 0.04 µs on one thread and 0.1 to 0.3 µs on two.
// A pass after a pause has its first worker running 10 to 40 µs after Enter, one
// that follows another after 1 to 7 µs.
package par

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Task is the body of a region: Do(i) is called once for every chunk i, from
// any of the team's threads. A task does not run regions of its own.
type Task interface{ Do(chunk int) }

const (
	// spinFor bounds how long a thread stays hot with nothing to do. It is
	// some wakes long, so that the spinning at most triples what a wake costs.
	spinFor = 200 * time.Microsecond
	// spinBatch is the number of looks between two yields, about 5 µs.
	spinBatch = 2048
	// retireAfter is how long a worker that no pass uses stays parked before
	// its goroutine ends.
	retireAfter = 100 * time.Millisecond
)

// Team is the worker set of one forward pass. It is used by one goroutine. The
// nil Team computes in its caller.
type Team struct {
	// ticket is the region's number <<32 | the chunks not yet claimed. task and
	// chunks may be read after a claim: the region cannot end before its chunks.
	ticket  atomic.Uint64
	_       [56]byte
	pending atomic.Int64 // chunks not yet done
	waiting atomic.Bool  // the caller is parked until pending is 0
	_       [48]byte
	limit   atomic.Int32 // workers that may work now: the first ones of the team
	asleep  atomic.Int32 // workers parked while in this team
	task    Task
	chunks  uint32

	workers  []*worker
	finished chan struct{} // wakes the caller
	mu       sync.Mutex
	panicked error // guarded by mu while a region runs
}

type worker struct {
	team   atomic.Pointer[Team] // nil: free
	seat   atomic.Int32         // its index in the team
	parked atomic.Bool
	wake   chan struct{}
}

// pool is the process's passes and workers.
var pool struct {
	mu     sync.Mutex
	active []*Team   // in the order in which they entered
	free   []*worker // in no team; spinning or parked
	spare  []*Team   // for reuse
}

// Enter begins a pass of up to threads threads, the caller's own included;
// threads <= 0 asks for GOMAXPROCS. A pass gets at least its own thread and at
// most its equal part beside the passes that are under way.
func Enter(threads int) *Team {
	procs := runtime.GOMAXPROCS(0)
	if threads <= 0 || threads > procs {
		threads = procs
	}
	p := &pool
	p.mu.Lock()
	var t *Team
	if n := len(p.spare); n > 0 {
		t, p.spare = p.spare[n-1], p.spare[:n-1]
	} else {
		t = &Team{finished: make(chan struct{}, 1)}
	}
	p.active = append(p.active, t)
	share(procs, threads)
	for range t.limit.Load() {
		var w *worker
		if n := len(p.free); n > 0 {
			w, p.free = p.free[n-1], p.free[:n-1]
		} else {
			w = &worker{wake: make(chan struct{}, 1)}
			go w.loop()
		}
		t.workers = append(t.workers, w)
	}
	p.mu.Unlock()
	for i, w := range t.workers {
		w.seat.Store(int32(i))
		w.team.Store(t)
	}
	t.unpark()
	return t
}

// share gives each pass under way its part of procs; the newest wants threads.
// pool.mu is held.
func share(procs, threads int) {
	active := pool.active
	want := func(i int) int {
		if i == len(active)-1 && threads > 0 {
			return threads
		}
		return active[i].size()
	}
	equal, left := max(1, procs/max(1, len(active))), procs
	for i := range active {
		left -= min(want(i), equal)
	}
	// What some do not want goes to those who entered first.
	for i, t := range active {
		n := min(want(i), equal)
		extra := min(want(i)-n, max(left, 0))
		left -= extra
		t.limit.Store(int32(n + extra - 1))
	}
}

// Leave ends the pass and gives the workers back. The Team must not be used
// afterwards.
func (t *Team) Leave() {
	if t == nil {
		return
	}
	for _, w := range t.workers {
		w.team.Store(nil)
	}
	p := &pool
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, t.workers...)
	clear(t.workers)
	t.workers = t.workers[:0]
	i := slices.Index(p.active, t)
	p.active = slices.Delete(p.active, i, i+1)
	p.spare = append(p.spare, t)
	share(runtime.GOMAXPROCS(0), 0)
}

// size is the number of threads that the team has, working or standing back.
func (t *Team) size() int { return 1 + len(t.workers) }

// Threads returns how many threads the team computes on now, the caller
// included.
func (t *Team) Threads() int {
	if t == nil {
		return 1
	}
	return 1 + int(t.limit.Load())
}

// Run calls task.Do for the chunks 0 … chunks-1 and returns when all are done.
// If one panics, the others are still done; then Run panics with its error.
func (t *Team) Run(task Task, chunks int) {
	if t == nil || chunks <= 1 || t.limit.Load() == 0 {
		for i := range chunks {
			task.Do(i)
		}
		return
	}
	t.task, t.chunks = task, uint32(chunks)
	t.pending.Store(int64(chunks))
	t.ticket.Store((t.ticket.Load()>>32+1)<<32 | uint64(chunks))
	if t.asleep.Load() > 0 {
		t.unpark()
	}
	for t.work() {
	}
	t.wait()
	t.task = nil
	t.mu.Lock()
	err := t.panicked
	t.panicked = nil
	t.mu.Unlock()
	if err != nil {
		panic(err)
	}
}

// wait returns when all chunks of the region are done. It parks if that takes
// long, for the processor may be wanted by the very worker it waits for.
func (t *Team) wait() {
	var start time.Time
	for spins := 1; t.pending.Load() > 0; spins++ {
		if spins%spinBatch != 0 {
			continue
		}
		runtime.Gosched()
		if start.IsZero() {
			start = time.Now()
		} else if time.Since(start) > spinFor {
			t.waiting.Store(true)
			if t.pending.Load() > 0 || !t.waiting.CompareAndSwap(true, false) {
				<-t.finished
			}
		}
	}
}

// work claims and does one chunk; false if there is none.
func (t *Team) work() bool {
	for {
		v := t.ticket.Load()
		left := uint32(v)
		if left == 0 {
			return false
		}
		if t.ticket.CompareAndSwap(v, v-1) {
			t.do(int(t.chunks - left))
			return true
		}
	}
}

func (t *Team) do(chunk int) {
	defer t.done()
	t.task.Do(chunk)
}

// done ends a chunk. A panic of the chunk is kept for Run: it must not end the
// process from a goroutine that the caller cannot guard.
func (t *Team) done() {
	if e := recover(); e != nil {
		err, ok := e.(error)
		if !ok {
			err = fmt.Errorf("%v", e)
		}
		t.mu.Lock()
		if t.panicked == nil {
			t.panicked = err
		}
		t.mu.Unlock()
	}
	// After the last chunk the team may be another pass's: a wake too many does
	// no harm, since wait looks again.
	if t.pending.Add(-1) == 0 && t.waiting.Load() && t.waiting.CompareAndSwap(true, false) {
		t.finished <- struct{}{}
	}
}

// unpark wakes the parked workers that may work.
func (t *Team) unpark() {
	woken := false
	for _, w := range t.workers[:min(len(t.workers), int(t.limit.Load()))] {
		if w.parked.Load() && w.parked.CompareAndSwap(true, false) {
			w.wake <- struct{}{}
			woken = true
		}
	}
	if woken {
		// The scheduler keeps the last goroutine made ready for this very
		// thread, and others may take it only after a while. Another takes its
		// place, and it starts some 70 µs earlier.
		go func() {}()
	}
}

func (w *worker) loop() {
	// A chunk that reads a mapped file cut short panics, for Run to hand on.
	debug.SetPanicOnFault(true)
	retire := time.NewTimer(retireAfter)
	defer retire.Stop()
	idle, start := 0, time.Time{}
	for {
		t := w.team.Load()
		back := t != nil && w.standsBack(t)
		if t != nil && !back && t.work() {
			idle = 0
			continue
		}
		if idle++; idle%spinBatch != 0 && !back {
			continue
		}
		runtime.Gosched()
		if idle <= spinBatch && !back {
			start = time.Now()
		} else if back || time.Since(start) > spinFor {
			if !w.park(t, retire) {
				return
			}
			idle = 0
		}
	}
}

// standsBack reports whether other passes have taken w's place.
func (w *worker) standsBack(t *Team) bool { return w.seat.Load() >= t.limit.Load() }

// park waits for unpark. What unpark announces (a new team or region) is
// published before it, and looked for again after parked is set. It returns
// false if the worker is to end.
func (w *worker) park(t *Team, retire *time.Timer) bool {
	if t != nil {
		t.asleep.Add(1)
		defer t.asleep.Add(-1)
	}
	w.parked.Store(true)
	if now := w.team.Load(); now != t || t != nil && !w.standsBack(t) && uint32(t.ticket.Load()) > 0 {
		if w.parked.CompareAndSwap(true, false) {
			return true
		}
	}
	retire.Reset(retireAfter)
	select {
	case <-w.wake:
		return true
	case <-retire.C:
	}
	if !w.parked.CompareAndSwap(true, false) {
		<-w.wake // sent at this moment
		return true
	}
	pool.mu.Lock()
	defer pool.mu.Unlock()
	i := slices.Index(pool.free, w)
	if i >= 0 {
		pool.free = slices.Delete(pool.free, i, i+1)
	}
	return i < 0
}
