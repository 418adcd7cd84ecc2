package dbtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// EnvServer names the environment variable that holds the DSN (a URL, of a superuser) of the PostgreSQL server for tests.
const EnvServer = "GATEHOUSE_TEST_POSTGRES"

// errNoPostgreSQL tells what to install.
var errNoPostgreSQL = errors.New("PostgreSQL's initdb and postgres are neither on PATH nor below /usr/lib/postgresql: " +
	"install the server (Debian and Ubuntu: apt-get install postgresql; macOS: brew install postgresql), " +
	"or set " + EnvServer + " to the DSN of a superuser, or test SQLite alone with -short")

// Server returns the DSN of the server tests use: the one in the environment, or a cluster started for this process.
func Server() (dsn string, err error) {
	if dsn := os.Getenv(EnvServer); dsn != "" {
		return dsn, nil
	}
	c, err := once("cluster", func() (*Cluster, error) { return StartCluster(ClusterOptions{}) })
	if err != nil {
		return "", err
	}
	return c.DSN, nil
}

// ClusterOptions tune [StartCluster].
type ClusterOptions struct {
	// Durable lets the server sync its disk, as it must when a test kills it. Tests of anything else are several times
	// faster without.
	Durable bool
}

// Cluster is a throwaway PostgreSQL server that listens on a socket in its own directory.
type Cluster struct {
	// DSN reaches the database "postgres" as superuser.
	DSN string

	keeper *exec.Cmd
	alive  io.Closer // while it is open the keeper keeps the server
}

// keeper runs the server until its standard input ends, which happens when this process stops the cluster and also
// when it dies, and then leaves nothing behind.
const keeper = `
"$1" -D "$2/data" -k "$2" -c listen_addresses= $3 >"$2/log" 2>&1 </dev/null &
server=$!
cat >/dev/null
kill -QUIT $server
wait $server
rm -rf "$2"
`

// StartCluster starts a server in a temporary directory. PostgreSQL refuses to run as root, so root runs it as
// the user postgres, or else nobody.
func StartCluster(o ClusterOptions) (_ *Cluster, err error) {
	initdb, postgres, err := findPostgreSQL("/usr/lib/postgresql/*/bin")
	if err != nil {
		return nil, err
	}
	// Not t.TempDir or TMPDIR: the path of a socket may have no more than some hundred bytes.
	dir, err := os.MkdirTemp("/tmp", "gatehouse-pg-")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(dir)
		}
	}()
	user, err := unprivileged(dir)
	if err != nil {
		return nil, err
	}

	init := exec.Command(initdb, "--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", filepath.Join(dir, "data"))
	init.Dir, init.SysProcAttr = dir, user
	if out, err := init.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}

	settings := "-c max_connections=300 -c shared_buffers=64MB -c autovacuum=off -c max_wal_size=4GB"
	if !o.Durable {
		settings += " -c fsync=off -c full_page_writes=off"
	}
	run := exec.Command("/bin/sh", "-c", strings.Replace(keeper, "$3", settings, 1), "keeper", postgres, dir)
	run.Dir, run.SysProcAttr = "/", user
	alive, err := run.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := run.Start(); err != nil {
		return nil, err
	}
	c := &Cluster{
		// A machine may be busy with other tests, so connecting may take long.
		DSN:    (&url.URL{Scheme: "postgres", User: url.User("postgres"), Path: "/postgres", RawQuery: "connect_timeout=60&host=" + url.QueryEscape(dir)}).String(),
		keeper: run,
		alive:  alive,
	}
	if err := c.ready(); err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "log"))
		c.Stop()
		return nil, fmt.Errorf("PostgreSQL did not start: %w\n%s", err, log)
	}
	return c, nil
}

// Stop ends the server and removes its files.
func (c *Cluster) Stop() error {
	c.alive.Close()
	return c.keeper.Wait()
}

// ready waits until the server answers.
func (c *Cluster) ready() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		conn, err := pgx.Connect(ctx, c.DSN)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-ctx.Done():
			return err
		case <-poll.C:
		}
	}
}

// findPostgreSQL looks in the folders of the pattern, whose names hold the version, and on PATH.
func findPostgreSQL(pattern string) (initdb, postgres string, err error) {
	dirs, _ := filepath.Glob(pattern)
	newest, best := "", -1
	for _, dir := range dirs {
		if v, err := strconv.Atoi(filepath.Base(filepath.Dir(dir))); err == nil && v > best {
			newest, best = dir, v
		}
	}
	find := func(name string) (string, error) {
		if newest != "" {
			if path, err := exec.LookPath(filepath.Join(newest, name)); err == nil {
				return path, nil
			}
		}
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
		return "", errNoPostgreSQL
	}
	if initdb, err = find("initdb"); err != nil {
		return "", "", err
	}
	postgres, err = find("postgres")
	return initdb, postgres, err
}
