package config

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// database demands a store that outlives the process and, when it is elsewhere, cannot be listened
// to on the way.
func (v *validator) database() {
	u := v.Database.URL.Reveal()
	switch scheme, rest, _ := strings.Cut(u, ":"); scheme {
	case "":
		v.add("database.url", "sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME?sslmode=verify-full", "is missing")
	case "sqlite":
		v.sqlite(rest)
	case "postgres", "postgresql":
		v.postgres(u)
	default:
		v.add("database.url", "sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME?sslmode=verify-full", "must begin with sqlite: or postgres://")
	}
}

func (v *validator) sqlite(path string) {
	path = strings.TrimPrefix(path, "//")
	if path == "" || memory(path) {
		v.add("database.url", "Name a file: sqlite:/var/lib/gatehouse/gatehouse.db", "names no file: everything would be lost at every stop")
		return
	}
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		v.add("database.url", "Name a file inside it.", "%s is a folder", path)
		return
	}
	if err == nil && othersRead(path) {
		v.add("database.url", "chmod o-rwx "+path, "%s can be read or written by every user of the machine", path)
	}
	folder := filepath.Dir(path)
	switch probe, err := os.CreateTemp(folder, ".gatehouse-probe-*"); {
	case err == nil:
		probe.Close()
		os.Remove(probe.Name())
	case notThere(err):
		v.add("database.url", "mkdir -m 700 "+folder, "its folder %s does not exist", folder)
		return
	default:
		v.add("database.url", "Let the user that runs the house own it.", "its folder %s cannot be written", folder)
		return
	}
	if f, err := os.OpenFile(path, os.O_RDWR, 0); err == nil {
		f.Close()
	} else if !notThere(err) {
		v.add("database.url", "Let the user that runs the house own it.", "%s cannot be written", path)
	}
}

// memory reports whether a SQLite path means a database that is kept in memory.
func memory(path string) bool {
	return strings.HasPrefix(path, ":") || strings.Contains(path, ":memory:") || strings.Contains(path, "mode=memory")
}

// postgres asks the driver itself what it would do with the URL: what it falls back to counts as
// much as what it tries first. The driver's error is not shown, since it may hold the password.
func (v *validator) postgres(u string) {
	conn, err := pgconn.ParseConfig(u)
	if err != nil {
		v.add("database.url", "postgres://USER:PASSWORD@HOST/NAME?sslmode=verify-full; write special characters of the password as %XX.", "cannot be understood")
		return
	}
	tries := []*pgconn.FallbackConfig{{Host: conn.Host, TLSConfig: conn.TLSConfig}}
	for _, t := range append(tries, conn.Fallbacks...) {
		if t.TLSConfig == nil && !localServer(t.Host) && !v.InsecureDatabasePlaintext {
			v.add("database.url", "Add sslmode=verify-full to it. On a network that is yours alone: insecure_database_plaintext.", "may talk to %s in plain text", t.Host)
			return
		}
	}
}

// localServer reports whether a PostgreSQL host is this machine: loopback or a Unix socket.
func localServer(host string) bool {
	return loopback(host) || strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@")
}

// carriesPassword reports whether a database URL has a password in it.
func carriesPassword(s Secret) bool {
	u, err := url.Parse(s.Reveal())
	if err != nil {
		return true
	}
	_, has := u.User.Password()
	return has || u.Query().Has("password") || u.Query().Has("sslpassword")
}

// showURL returns a database URL without anything that could be a secret.
func showURL(s Secret) string {
	text := s.Reveal()
	if strings.HasPrefix(text, "sqlite:") || text == "" {
		return text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return hidden
	}
	shown := u.Scheme + "://"
	if u.User != nil {
		shown += url.User(u.User.Username()).String()
		if _, has := u.User.Password(); has {
			shown += ":" + hidden
		}
		shown += "@"
	}
	shown += u.Host + u.EscapedPath()
	if mode := u.Query().Get("sslmode"); mode != "" {
		shown += "?sslmode=" + url.QueryEscape(mode)
	}
	return shown
}
