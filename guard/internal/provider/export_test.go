package provider

// Settle waits until no fetch is under way, so that a test sees what one that
// was started in the background has brought.
func (p *Provider) Settle() {
	p.metadata.settle()
	p.keys.settle()
	p.metadata.settle()
}

func (c *cached[T]) settle() {
	c.mu.Lock()
	f := c.flight
	c.mu.Unlock()
	if f != nil {
		<-f.done
	}
}
