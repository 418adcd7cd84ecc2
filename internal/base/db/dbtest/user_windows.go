package dbtest

import (
	"errors"
	"syscall"
)

func unprivileged(string) (*syscall.SysProcAttr, error) {
	return nil, errors.New("starting PostgreSQL for tests needs Unix; set " + EnvServer)
}
