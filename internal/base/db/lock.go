package db

import (
	"fmt"
	"os"
)

// fileLock says that this process is the one that writes the database beside it. The file stays behind when the lock is
// released: removing it would let two processes hold locks on two files of one name.
type fileLock struct{ f *os.File }

func lockFile(path string) (*fileLock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	taken, err := tryLock(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if !taken {
		f.Close()
		return nil, fmt.Errorf("%w (it holds %s); SQLite serves one gatehouse process, several need PostgreSQL", ErrLocked, path)
	}
	return &fileLock{f}, nil
}

func (l *fileLock) release() error {
	if l == nil { // a guest holds none
		return nil
	}
	return l.f.Close()
}
