package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"time"
)

// measured is the outcome of one operation.
type measured struct {
	operation
	house, bare turns
}

// turns are what one handler did in all of its turns together.
type turns struct {
	elapsed time.Duration
	cpu     time.Duration // of the server process
	load    time.Duration // processor time of this process
	took    []time.Duration
}

// rate returns operations per second.
func (t turns) rate() float64 {
	if t.elapsed == 0 {
		return 0
	}
	return float64(len(t.took)) / t.elapsed.Seconds()
}

// work returns the server's processor time per operation.
func (t turns) work() time.Duration {
	if len(t.took) == 0 {
		return 0
	}
	return t.cpu / time.Duration(len(t.took))
}

// capacity returns how many operations per second the processor time of server and load would allow
// if all cores were theirs: what rate comes near to on a machine without other work and a database
// elsewhere. 0 where the system does not tell.
func (t turns) capacity() float64 {
	if t.cpu+t.load == 0 {
		return 0
	}
	return float64(runtime.GOMAXPROCS(0)) * float64(len(t.took)) / (t.cpu + t.load).Seconds()
}

// percentile returns the time within which so many of a hundred operations were answered.
func (t turns) percentile(p float64) time.Duration {
	if len(t.took) == 0 {
		return 0
	}
	return t.took[min(len(t.took)-1, int(p/100*float64(len(t.took))))]
}

func (t *turns) add(other turns) {
	t.elapsed, t.cpu, t.load, t.took = t.elapsed+other.elapsed, t.cpu+other.cpu, t.load+other.load, append(t.took, other.took...)
}

// measure lets house and bare handler take turns.
func measure(o options, p *process, w *world, op operation, database string) (*measured, error) {
	toHouse, err := dialAll(p.house)
	if err != nil {
		return nil, err
	}
	defer toHouse.close()
	if op.seen != nil {
		if _, err := toHouse.turn(p, once(live, op.seen)(w), time.Minute); !errors.Is(err, errExhausted) {
			return nil, fmt.Errorf("the live tokens were not all shown: %w", err)
		}
	}
	warm := op.warm
	if warm == nil {
		warm = op.steps
	}
	if _, err := toHouse.turn(p, warm(w), o.warm); err != nil && !errors.Is(err, errExhausted) {
		return nil, err
	}
	toBare, err := dialAll(p.bare) // not before: a connection that asks nothing is closed
	if err != nil {
		return nil, err
	}
	defer toBare.close()
	// The bare handler is sent the last requests of each connection, and answers as much.
	if _, err := p.ask("POST", fmt.Sprintf("/bare/%d", toHouse.meanBody())); err != nil {
		return nil, err
	}
	replay := func(connection int) step {
		return func(c *conn) error {
			from := toHouse[connection]
			for _, request := range from.sent[:from.used] {
				if _, err := c.roundTrip(request); err != nil {
					return err
				}
			}
			return nil
		}
	}
	if _, err := toBare.turn(p, replay, o.warm/4); err != nil {
		return nil, err
	}
	m := &measured{operation: op}
	steps := each(op.steps(w))
	for m.house.elapsed < o.measure {
		house, err := profiled(o, p, op, database, func() (turns, error) { return toHouse.turn(p, steps, o.slice) })
		m.house.add(house)
		exhausted := errors.Is(err, errExhausted)
		if err != nil && !exhausted {
			return nil, err
		}
		bare, err := toBare.turn(p, replay, o.slice/2)
		if err != nil {
			return nil, err
		}
		m.bare.add(bare)
		if exhausted {
			break
		}
	}
	slices.Sort(m.house.took)
	slices.Sort(m.bare.took)
	return m, nil
}

// each makes the step of every connection once, so that it goes on where it was in its next turn.
func each(steps func(int) step) func(int) step {
	made := make([]step, connections)
	for i := range made {
		made[i] = steps(i)
	}
	return func(connection int) step { return made[connection] }
}

// fleet are the connections to one handler.
type fleet []*conn

func dialAll(addr string) (fleet, error) {
	var f fleet
	for range connections {
		c, err := dial(addr)
		if err != nil {
			f.close()
			return nil, err
		}
		f = append(f, c)
	}
	return f, nil
}

func (f fleet) close() {
	for _, c := range f {
		c.Close()
	}
}

// meanBody returns how large an answer was on average.
func (f fleet) meanBody() int64 {
	var bytes, count int64
	for _, c := range f {
		bytes, count = bytes+c.bytes, count+c.count
	}
	return bytes / max(count, 1)
}

// turn has every connection do its steps for so long. The error is errExhausted when they came to
// an end before.
func (f fleet) turn(p *process, steps func(int) step, length time.Duration) (turns, error) {
	took := make([][]time.Duration, len(f))
	errs := make([]error, len(f))
	var all sync.WaitGroup
	cpu, load, began := p.cpu(), cpuOf("self"), time.Now()
	for i, c := range f {
		all.Go(func() {
			c.SetDeadline(began.Add(length + 30*time.Second))
			do := steps(i)
			for last := time.Now(); last.Sub(began) < length; {
				used := c.used
				c.used = 0
				if errs[i] = do(c); errs[i] != nil {
					c.used = max(c.used, used)
					return
				}
				now := time.Now()
				took[i] = append(took[i], now.Sub(last))
				last = now
			}
		})
	}
	all.Wait()
	t := turns{elapsed: time.Since(began), cpu: p.cpu() - cpu, load: cpuOf("self") - load, took: slices.Concat(took...)}
	for _, err := range errs {
		if err != nil && !errors.Is(err, errExhausted) {
			return t, err
		}
	}
	return t, errors.Join(errs...)
}

// profiled profiles the server during a turn, if that is wanted. Of several turns the last stays.
func profiled(o options, p *process, op operation, database string, turn func() (turns, error)) (turns, error) {
	if o.profiles == "" {
		return turn()
	}
	if _, err := p.ask("POST", "/profile"); err != nil {
		return turns{}, err
	}
	t, err := turn()
	profile, asked := p.ask("GET", "/profile")
	allocations, asked2 := p.ask("GET", "/allocations")
	if failed := errors.Join(asked, asked2); failed != nil {
		return t, failed
	}
	name := regexp.MustCompile(`[^A-Za-z0-9]+`).ReplaceAllString(database+"-"+op.name, "-")
	if failed := errors.Join(os.MkdirAll(o.profiles, 0o755),
		os.WriteFile(filepath.Join(o.profiles, name+".cpu"), profile, 0o644),
		os.WriteFile(filepath.Join(o.profiles, name+".allocs"), allocations, 0o644)); failed != nil {
		return t, failed
	}
	return t, err
}

// line is the outcome in short.
func (m *measured) line() string {
	return fmt.Sprintf("%-28s %8.0f/s  p50 %v  p99 %v  1/%.2f of bare, %v of the server's time, %.0f/s by processor time", m.name, m.house.rate(),
		m.house.percentile(50).Round(10*time.Microsecond), m.house.percentile(99).Round(10*time.Microsecond), m.bare.rate()/m.house.rate(), m.house.work(), m.house.capacity())
}
