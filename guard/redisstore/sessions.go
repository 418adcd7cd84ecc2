package redisstore

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/gatehouse-dev/gatehouse/guard/internal/keyring"
	"github.com/gatehouse-dev/gatehouse/guard/internal/opaque"
	"github.com/gatehouse-dev/gatehouse/guard/session"
)

// Sessions keeps sessions in Redis. It is a session.Store, session.Index and
// session.Locker, safe for concurrent use.
//
// Redis holds no token, only hashes, and everything about a session encrypted.
// Beside each session it holds its name in two sorted sets, one of its subject
// and one of its sid. A name is put there before the session is, and taken out
// after it, so that no session is ever missing from its lists; names left behind
// by a crash go when the session would have expired.
type Sessions struct {
	client  rueidis.Client
	sealer  *keyring.Sealer
	options Options
	update  *rueidis.Lua
	enlist  *rueidis.Lua
	unlock  *rueidis.Lua
}

// NewSessions returns a store that speaks through client. It asks the server
// whether it drops keys when memory is short, and fails if so: see
// Options.InsecureAllowEviction.
func NewSessions(ctx context.Context, client rueidis.Client, o Options) (*Sessions, error) {
	o = o.withDefaults()
	ring, err := keyring.New(o.Secrets...)
	if err != nil {
		return nil, fmt.Errorf("redisstore: Secrets: %w", err)
	}
	sealer, err := ring.For("session in redis")
	if err != nil {
		return nil, fmt.Errorf("redisstore: %w", err)
	}
	s := &Sessions{
		client: client, sealer: sealer, options: o,
		update: rueidis.NewLuaScript(updateScript),
		enlist: rueidis.NewLuaScript(enlistScript),
		unlock: rueidis.NewLuaScript(unlockScript),
	}
	if err := refuseEviction(ctx, client, o); err != nil {
		return nil, err
	}
	return s, nil
}

// A session's value begins with its version, 8 bytes, and its expiry, 16 decimal
// digits. The rest is sealed.
const (
	versionSize = 8
	headSize    = versionSize + 16
)

// What updateScript answers besides success.
const updateGone, updateConflict = 0, 1

// updateScript replaces the value at KEYS[1] by ARGV[2], for ARGV[3] milliseconds,
// if it still begins with the version ARGV[1] and has not expired by ARGV[4], in
// microseconds of the caller's clock.
const updateScript = `
local held = redis.call('GET', KEYS[1])
if not held or tonumber(string.sub(held, 9, 24)) <= tonumber(ARGV[4]) then return 0 end
if string.sub(held, 1, 8) ~= ARGV[1] then return 1 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 2`

// enlistScript puts the name ARGV[1] into the list KEYS[1] until ARGV[2], removes
// the names that expired by ARGV[3], and lets the list live as long as the name
// that lives longest. Times are milliseconds of the caller's clock.
const enlistScript = `
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])
redis.call('ZADD', KEYS[1], 'GT', ARGV[2], ARGV[1])
local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
redis.call('PEXPIRE', KEYS[1], math.max(1, tonumber(last[2]) - tonumber(ARGV[3])))
return 1`

// unlockScript deletes the lock KEYS[1] if ARGV[1] still holds it.
const unlockScript = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`

// sealed is what stands encrypted in a session's value. Used is when it was
// written, in microseconds.
type sealed struct {
	App       string `json:"app"`
	Subject   string `json:"sub,omitempty"`
	SessionID string `json:"sid,omitempty"`
	Used      int64  `json:"used"`
	Data      []byte `json:"data"`
}

// Create implements session.Store.
func (s *Sessions) Create(ctx context.Context, rec session.Record) (string, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	token := opaque.Name()
	id := nameOf(rec.App, token)
	rec.Version = 1
	value, err := s.seal(id, rec)
	if err != nil {
		return "", err
	}
	if err := s.list(ctx, id, rec); err != nil {
		return "", err
	}
	if err := s.client.Do(ctx, s.client.B().Set().Key(s.session(id)).Value(value).PxMilliseconds(s.millis(rec.Expires)).Build()).Error(); err != nil {
		return "", fmt.Errorf("redisstore: create: %w", err)
	}
	return token, nil
}

// Find implements session.Store.
func (s *Sessions) Find(ctx context.Context, app, token string) (session.Record, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	id := nameOf(app, token)
	value, err := s.client.Do(ctx, s.client.B().Get().Key(s.session(id)).Build()).ToString()
	if rueidis.IsRedisNil(err) {
		return session.Record{}, session.ErrNotFound
	}
	if err != nil {
		return session.Record{}, fmt.Errorf("redisstore: find: %w", err)
	}
	rec, _, err := s.open(id, app, value)
	return rec, err
}

// Update implements session.Store.
func (s *Sessions) Update(ctx context.Context, token string, rec session.Record) (string, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	id := nameOf(rec.App, token)
	held := head(rec)[:versionSize]
	rec.Version++
	value, err := s.seal(id, rec)
	if err != nil {
		return "", err
	}
	if err := s.list(ctx, id, rec); err != nil {
		return "", err
	}
	outcome, err := s.update.Exec(ctx, s.client, []string{s.session(id)}, []string{
		held, value, strconv.FormatInt(s.millis(rec.Expires), 10), strconv.FormatInt(s.options.Clock().UnixMicro(), 10),
	}).AsInt64()
	switch {
	case err != nil:
		return "", fmt.Errorf("redisstore: update: %w", err)
	case outcome == updateGone:
		return "", session.ErrNotFound
	case outcome == updateConflict:
		return "", session.ErrConflict
	}
	return token, nil
}

// Delete implements session.Store.
func (s *Sessions) Delete(ctx context.Context, app, token string) error {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	_, err := s.end(ctx, app, nameOf(app, token))
	return err
}

// List implements session.Index.
func (s *Sessions) List(ctx context.Context, app, subject string) ([]session.Entry, error) {
	if subject == "" {
		return nil, nil
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	ids, err := s.listed(ctx, s.bySubject(app, subject))
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	type used struct {
		session.Entry
		at int64
	}
	var found []used
	for i, answer := range s.client.DoMulti(ctx, s.gets(ids)...) {
		value, err := answer.ToString()
		if rueidis.IsRedisNil(err) {
			continue // ended; who ended it takes the name out, or time does
		}
		if err != nil {
			return nil, fmt.Errorf("redisstore: list: %w", err)
		}
		rec, at, err := s.open(ids[i], app, value)
		if err == nil && rec.Subject == subject {
			found = append(found, used{session.Entry{ID: ids[i], Record: rec}, at})
		}
	}
	slices.SortFunc(found, func(a, b used) int { return cmp.Or(cmp.Compare(b.at, a.at), strings.Compare(a.ID, b.ID)) })
	entries := make([]session.Entry, len(found))
	for i, f := range found {
		entries[i] = f.Entry
	}
	return entries, nil
}

func (s *Sessions) gets(ids []string) rueidis.Commands {
	var commands rueidis.Commands
	for _, id := range ids {
		commands = append(commands, s.client.B().Get().Key(s.session(id)).Build())
	}
	return commands
}

// DeleteEntry implements session.Index.
func (s *Sessions) DeleteEntry(ctx context.Context, app, subject, id string) error {
	if raw, err := hex.DecodeString(id); err != nil || len(raw) != len(opaque.ID{}) || subject == "" {
		return nil
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	value, err := s.client.Do(ctx, s.client.B().Get().Key(s.session(id)).Build()).ToString()
	if rueidis.IsRedisNil(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("redisstore: delete: %w", err)
	}
	rec, _, err := s.open(id, app, value)
	if err != nil || rec.Subject != subject {
		return nil
	}
	_, err = s.end(ctx, app, id)
	return err
}

// DeleteSubject implements session.Index.
func (s *Sessions) DeleteSubject(ctx context.Context, app, subject, except string) (int, error) {
	if subject == "" {
		return 0, nil
	}
	return s.endAll(ctx, app, s.bySubject(app, subject), nameOf(app, except))
}

// DeleteSession implements session.Index.
func (s *Sessions) DeleteSession(ctx context.Context, app, sessionID string) (int, error) {
	if sessionID == "" {
		return 0, nil
	}
	return s.endAll(ctx, app, s.bySID(app, sessionID), "")
}

// maxPasses bounds how often a list is gone through.
const maxPasses = 20

// endAll goes through the list until there is nothing left, and at least twice: a session may have given
// place to another since the list was read.
func (s *Sessions) endAll(ctx context.Context, app, list, except string) (ended int, err error) {
	for pass := 1; pass <= maxPasses; pass++ {
		n, err := s.endListed(ctx, app, list, except)
		if ended += n; err != nil || n == 0 && pass > 1 {
			return ended, err
		}
	}
	return ended, nil
}

// endListed goes on after an error: each session that ends is one less.
func (s *Sessions) endListed(ctx context.Context, app, list, except string) (ended int, err error) {
	listCtx, cancel := s.bound(ctx)
	ids, err := s.listed(listCtx, list)
	cancel()
	if err != nil {
		return 0, err
	}
	var failures []error
	for _, id := range ids {
		if id == except {
			continue
		}
		each, cancel := s.bound(ctx)
		was, err := s.end(each, app, id)
		cancel()
		if err != nil {
			failures = append(failures, err)
		} else if was {
			ended++
		}
	}
	return ended, errors.Join(failures...)
}

// TryLock implements session.Locker. The server's clock ends the lock.
func (s *Sessions) TryLock(ctx context.Context, key string, ttl time.Duration) (func(context.Context) error, bool, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	lock, holder := s.options.Prefix+"lock:"+nameOf("", key), opaque.Name()
	err := s.client.Do(ctx, s.client.B().Set().Key(lock).Value(holder).Nx().PxMilliseconds(max(1, ttl.Milliseconds())).Build()).Error()
	if rueidis.IsRedisNil(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("redisstore: lock: %w", err)
	}
	return func(ctx context.Context) error {
		ctx, cancel := s.bound(ctx)
		defer cancel()
		if err := s.unlock.Exec(ctx, s.client, []string{lock}, []string{holder}).Error(); err != nil {
			return fmt.Errorf("redisstore: unlock: %w", err)
		}
		return nil
	}, true, nil
}

// end ends a session and takes its name out of the lists, in this order: whoever
// finds a name without a session leaves it alone, for a session may be about to
// follow. It reports whether the session was alive.
func (s *Sessions) end(ctx context.Context, app, id string) (bool, error) {
	value, err := s.client.Do(ctx, s.client.B().Getdel().Key(s.session(id)).Build()).ToString()
	if rueidis.IsRedisNil(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("redisstore: delete: %w", err)
	}
	rec, _, err := s.open(id, app, value)
	if err != nil {
		return false, nil // expired, or sealed with a secret that is gone
	}
	for _, list := range s.lists(rec) {
		// The session has ended; a name too many hurts nobody.
		_ = s.client.Do(ctx, s.client.B().Zrem().Key(list).Member(id).Build()).Error()
	}
	return true, nil
}

// list puts the session's name into the lists it belongs to.
func (s *Sessions) list(ctx context.Context, id string, rec session.Record) error {
	now := s.options.Clock().UnixMilli()
	for _, list := range s.lists(rec) {
		args := []string{id, strconv.FormatInt(max(rec.Expires.UnixMilli(), now)+1, 10), strconv.FormatInt(now, 10)}
		if err := s.enlist.Exec(ctx, s.client, []string{list}, args).Error(); err != nil {
			return fmt.Errorf("redisstore: index: %w", err)
		}
	}
	return nil
}

func (s *Sessions) lists(rec session.Record) (lists []string) {
	if rec.Subject != "" {
		lists = append(lists, s.bySubject(rec.App, rec.Subject))
	}
	if rec.SessionID != "" {
		lists = append(lists, s.bySID(rec.App, rec.SessionID))
	}
	return lists
}

func (s *Sessions) listed(ctx context.Context, list string) ([]string, error) {
	ids, err := s.client.Do(ctx, s.client.B().Zrange().Key(list).Min("0").Max("-1").Build()).AsStrSlice()
	if err != nil {
		return nil, fmt.Errorf("redisstore: index: %w", err)
	}
	return ids, nil
}

// seal makes the value of a session.
func (s *Sessions) seal(id string, rec session.Record) (string, error) {
	plain, err := json.Marshal(sealed{
		App: rec.App, Subject: rec.Subject, SessionID: rec.SessionID, Data: rec.Data, Used: s.options.Clock().UnixMicro(),
	})
	if err != nil {
		return "", fmt.Errorf("redisstore: %w", err)
	}
	return head(rec) + string(s.sealer.Seal(head(rec)+id, plain)), nil
}

// open reads what seal made; session.ErrNotFound if it does not open, expired, or
// is another application's.
func (s *Sessions) open(id, app, value string) (rec session.Record, used int64, err error) {
	if len(value) < headSize {
		return rec, 0, session.ErrNotFound
	}
	plain, err := s.sealer.Open(value[:headSize]+id, []byte(value[headSize:]))
	if err != nil {
		return rec, 0, session.ErrNotFound
	}
	var v sealed
	if err := json.Unmarshal(plain, &v); err != nil || v.App != app {
		return rec, 0, session.ErrNotFound
	}
	expires, err := strconv.ParseInt(value[versionSize:headSize], 10, 64)
	if err != nil {
		return rec, 0, session.ErrNotFound
	}
	rec = session.Record{
		App: v.App, Subject: v.Subject, SessionID: v.SessionID, Data: v.Data, Expires: time.UnixMicro(expires),
		Version: int64(binary.BigEndian.Uint64([]byte(value[:versionSize]))),
	}
	if !s.options.Clock().Before(rec.Expires) {
		return session.Record{}, 0, session.ErrNotFound
	}
	return rec, v.Used, nil
}

func (s *Sessions) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.options.Timeout)
}

// millis is how long the server should keep what expires then, by our clock.
func (s *Sessions) millis(expires time.Time) int64 {
	return max(1, expires.Sub(s.options.Clock()).Milliseconds()+1)
}

func (s *Sessions) session(id string) string { return s.options.Prefix + "session:" + id }

func (s *Sessions) bySubject(app, subject string) string {
	return s.options.Prefix + "subject:" + nameOf(app, subject)
}

func (s *Sessions) bySID(app, sessionID string) string {
	return s.options.Prefix + "sid:" + nameOf(app, sessionID)
}

func nameOf(app, name string) string {
	id := opaque.Of(app, name)
	return hex.EncodeToString(id[:])
}

func head(rec session.Record) string {
	return string(binary.BigEndian.AppendUint64(nil, uint64(rec.Version))) + fmt.Sprintf("%016d", rec.Expires.UnixMicro())
}

// What Sessions is to package session.
var (
	_ session.Store  = (*Sessions)(nil)
	_ session.Index  = (*Sessions)(nil)
	_ session.Locker = (*Sessions)(nil)
)
