package server

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/gatehouse-dev/gatehouse/internal/base/clock"
)

// lookAgainEvery is how often the files of the certificate are looked at, at most.
const lookAgainEvery = 10 * time.Second

// certificate is a certificate and its key from two files, read again when they change. As long as
// what stands there does not fit together, the old one is used.
type certificate struct {
	certFile, keyFile string
	clock             clock.Clock
	log               *slog.Logger

	mu     sync.Mutex
	pair   *tls.Certificate
	stamp  [2]stamp
	looked time.Time
}

// stamp tells one state of a file from another.
type stamp struct {
	modified time.Time
	size     int64
}

// get is for [tls.Config.GetCertificate].
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.clock.Now(); now.Sub(c.looked) >= lookAgainEvery {
		c.looked = now
		if stamp := c.stamps(); stamp != c.stamp {
			if err := c.read(stamp); err != nil {
				c.log.Error("the new certificate is not used", "error", err)
			} else {
				c.log.Info("the certificate was read anew", "not_after", c.pair.Leaf.NotAfter)
			}
		}
	}
	return c.pair, nil
}

// load reads the files for the first time.
func (c *certificate) load() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looked = c.clock.Now()
	return c.read(c.stamps())
}

func (c *certificate) read(stamp [2]stamp) error {
	c.stamp = stamp // also of files that do not fit: they are complained of once
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("server: read certificate: %w", err)
	}
	c.pair = &pair
	return nil
}

func (c *certificate) stamps() (out [2]stamp) {
	for i, path := range []string{c.certFile, c.keyFile} {
		if info, err := os.Stat(path); err == nil {
			out[i] = stamp{info.ModTime(), info.Size()}
		}
	}
	return out
}
