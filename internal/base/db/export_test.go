package db

// MaxGroup is how many statements share a transaction at most.
const MaxGroup = maxGroup

// OccupyCourier sends as many groups on their way as may be, each of nobody, until release is called.
func (d *DB) OccupyCourier() (release func()) {
	c := &d.engine.(*postgres).courier
	for range maxJourneys {
		if atHome, err := c.enqueue(nil); !atHome || err != nil {
			panic("the courier was not at home")
		}
	}
	return func() {
		for range maxJourneys {
			c.goOn()
		}
	}
}

// Courier returns how many verbs wait for those on their way, and whether more are refused.
func (d *DB) Courier() (queued int, closed bool) {
	c := &d.engine.(*postgres).courier
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queue), c.closed
}
