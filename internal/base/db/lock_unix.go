//go:build unix

package db

import (
	"os"
	"syscall"
)

// tryLock takes the lock without waiting. The kernel lets go of it when the process dies, however it dies.
func tryLock(f *os.File) (taken bool, err error) {
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == syscall.EWOULDBLOCK {
		return false, nil
	}
	return err == nil, err
}
