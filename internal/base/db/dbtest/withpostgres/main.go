// Command withpostgres runs a command with a throwaway PostgreSQL server, so that all packages of a test run share one:
//
//	go run ./internal/base/db/dbtest/withpostgres -- go test ./...
//
// The server's DSN is in GATEHOUSE_TEST_POSTGRES. The exit code is the command's.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"

	"github.com/gatehouse-dev/gatehouse/internal/base/db/dbtest"
)

func main() {
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "withpostgres:", err)
	}
	os.Exit(code)
}

func run(args []string) (code int, err error) {
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		return 2, errors.New("usage: withpostgres [--] command [argument…]")
	}
	cluster, err := dbtest.StartCluster(dbtest.ClusterOptions{})
	if err != nil {
		return 1, err
	}
	defer cluster.Stop()

	// An interrupt is for the command; this process outlives it to clean up.
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)

	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), dbtest.EnvServer+"="+cluster.DSN)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return max(exit.ExitCode(), 1), nil
	}
	if err != nil {
		return 1, err
	}
	return 0, nil
}
