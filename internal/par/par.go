// Package par shares the process's processors between forward passes.
//
// A pass enters, runs its many small parallel regions, and leaves. Waking a
// goroutine costs more than a region takes, so the workers of a [Team] spin
// between its regions and park only when a pass has been quiet for long. A
// region's chunks are claimed one by one; the caller claims too and waits only
// for chunks that a worker has really begun, so that a worker that is slow to
// start costs nothing.
package par

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Task is the body of a region: Do(i) is called once for every chunk i, from
// any of the team's threads.
type Task interface{ Do(chunk int) }

// spinFor bounds how long a worker stays hot with nothing to do.
const spinFor = 2 * time.Millisecond

// Team is the worker set of one forward pass. It is used by one goroutine. The
// nil Team computes in its caller.
type Team struct {
	// ticket is the region's number <<32 | the chunks not yet claimed. task and
	// chunks may be read after a claim: the region cannot end before its chunks.
	ticket  atomic.Uint64
	_       [56]byte
	pending atomic.Int64 // chunks not yet done
	_       [56]byte
	asleep  atomic.Int32 // workers parked while in this team
	task    Task
	chunks  uint32

	workers  []*worker
	mu       sync.Mutex
	panicked error
}

type worker struct {
	team   atomic.Pointer[Team]
	parked atomic.Bool
	wake   chan struct{}
}

// pool is the process's workers. load counts the threads of all teams.
var pool struct {
	mu    sync.Mutex
	free  []*worker
	teams []*Team
	load  atomic.Int64
	procs atomic.Int64
}

// Enter takes up to threads-1 workers that no other pass uses, and never so many that the
// process computes on more than GOMAXPROCS threads. threads <= 0 asks for all.
func Enter(threads int) *Team {
	procs := runtime.GOMAXPROCS(0)
	if threads <= 0 || threads > procs {
		threads = procs
	}
	p := &pool
	p.mu.Lock()
	p.procs.Store(int64(procs))
	var t *Team
	if n := len(p.teams); n > 0 {
		t, p.teams = p.teams[n-1], p.teams[:n-1]
	} else {
		t = new(Team)
	}
	load := int(p.load.Load()) + 1
	for len(t.workers) < threads-1 && load < procs {
		var w *worker
		if n := len(p.free); n > 0 {
			w, p.free = p.free[n-1], p.free[:n-1]
		} else {
			w = &worker{wake: make(chan struct{}, 1)}
			go w.loop()
		}
		t.workers = append(t.workers, w)
		load++
	}
	p.load.Store(int64(load))
	p.mu.Unlock()
	for _, w := range t.workers {
		w.team.Store(t)
		w.unpark()
	}
	return t
}

// Leave gives the workers back. The Team must not be used afterwards.
func (t *Team) Leave() {
	if t == nil {
		return
	}
	for _, w := range t.workers {
		w.team.Store(nil)
	}
	p := &pool
	p.mu.Lock()
	p.load.Add(-int64(1 + len(t.workers)))
	p.free = append(p.free, t.workers...)
	t.workers = t.workers[:0]
	p.teams = append(p.teams, t)
	p.mu.Unlock()
}

// Threads returns how many threads the team computes on, the caller included.
func (t *Team) Threads() int {
	if t == nil {
		return 1
	}
	return 1 + len(t.workers)
}

// Run calls task.Do for the chunks 0 … chunks-1 and returns when all are done.
// If one panics, Run panics after the others have ended.
func (t *Team) Run(task Task, chunks int) {
	if t == nil || len(t.workers) == 0 || chunks <= 1 {
		for i := range chunks {
			task.Do(i)
		}
		return
	}
	t.task, t.chunks = task, uint32(chunks)
	t.pending.Store(int64(chunks))
	t.ticket.Store((t.ticket.Load()>>32+1)<<32 | uint64(chunks))
	if t.asleep.Load() > 0 {
		for _, w := range t.workers {
			w.unpark()
		}
	}
	for t.work() {
	}
	for spins := 1; t.pending.Load() > 0; spins++ {
		if spins%512 == 0 {
			runtime.Gosched()
		}
	}
	t.task = nil
	if err := t.panicked; err != nil {
		t.panicked = nil
		panic(err)
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
	t.pending.Add(-1)
}

func (w *worker) loop() {
	idle, start := 0, time.Time{}
	for {
		t := w.team.Load()
		crowded := pool.load.Load() > pool.procs.Load()
		if t != nil && !crowded && t.work() {
			idle = 0
			continue
		}
		// Another pass has come and needs the processor: stand back between chunks.
		if idle++; idle%256 == 0 || crowded {
			runtime.Gosched()
			if now := time.Now(); idle <= 256 || start.IsZero() {
				start = now
			} else if now.Sub(start) > spinFor {
				w.park(t)
				idle, start = 0, time.Time{}
			}
		}
	}
}

// park waits for unpark. What unpark announces (a new team or region) is
// published before it, and looked for again after parked is set.
func (w *worker) park(t *Team) {
	if t != nil {
		t.asleep.Add(1)
		defer t.asleep.Add(-1)
	}
	w.parked.Store(true)
	if w.team.Load() != t || t != nil && uint32(t.ticket.Load()) > 0 {
		if w.parked.CompareAndSwap(true, false) {
			return
		}
	}
	<-w.wake
}

func (w *worker) unpark() {
	if w.parked.Load() && w.parked.CompareAndSwap(true, false) {
		w.wake <- struct{}{}
	}
}
