package session

import (
	"context"
	"encoding/json"
	"fmt"
)

// Key is the name of a value in a session, with its type: anything that
// encoding/json can write and read.
//
//	const cart session.Key[[]Item] = "cart"
//
//	items, _ := cart.Get(ctx)
//
// All methods take the context of a request behind Manager.Middleware, and panic
// without one: that is a mistake in the program. Those that change something
// return no error only when the change is stored.
type Key[T any] string

// Get returns the value; false if there is none, or one of another type that an
// older version of the program left.
func (k Key[T]) Get(ctx context.Context) (value T, ok bool) {
	s := mustSession(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	return k.read(s.state)
}

// Put stores value.
func (k Key[T]) Put(ctx context.Context, value T) error {
	encoded, err := k.write(value)
	if err != nil {
		return err
	}
	return mustSession(ctx).change(ctx, func(st *state) (bool, error) {
		st.put(string(k), encoded)
		return true, nil
	})
}

// Update stores what fn returns for the value that is there, or for the zero
// value. Requests that run side by side each see what the one before them left:
// fn may be called several times, must have no other effect, and must not use the
// session. An error of fn leaves everything as it was.
func (k Key[T]) Update(ctx context.Context, fn func(value T) (T, error)) error {
	return mustSession(ctx).change(ctx, func(st *state) (bool, error) {
		value, _ := k.read(*st)
		value, err := fn(value)
		if err != nil {
			return false, err
		}
		encoded, err := k.write(value)
		if err != nil {
			return false, err
		}
		st.put(string(k), encoded)
		return true, nil
	})
}

// Delete removes the value.
func (k Key[T]) Delete(ctx context.Context) error {
	_, _, err := k.Take(ctx)
	return err
}

// Take removes the value and returns it: a message to be shown once, on the page
// after the next redirect. Of requests that run side by side one gets it.
func (k Key[T]) Take(ctx context.Context) (value T, ok bool, err error) {
	err = mustSession(ctx).change(ctx, func(st *state) (bool, error) {
		_, there := st.Values[string(k)]
		value, ok = k.read(*st)
		delete(st.Values, string(k))
		return there, nil
	})
	if err != nil {
		var none T
		return none, false, err
	}
	return value, ok, nil
}

func (k Key[T]) read(st state) (value T, ok bool) {
	encoded, ok := st.Values[string(k)]
	if !ok {
		return value, false
	}
	if err := json.Unmarshal(encoded, &value); err != nil {
		var none T
		return none, false
	}
	return value, true
}

func (k Key[T]) write(value T) (json.RawMessage, error) {
	encoded, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("session: value %q: %w", string(k), err)
	}
	return encoded, nil
}

func mustSession(ctx context.Context) *Session {
	s, ok := FromContext(ctx)
	if !ok {
		panic("session: no session in this context; put Manager.Middleware around the handler")
	}
	return s
}
