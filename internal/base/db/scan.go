package db

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"
	"strconv"
)

// assign stores a SQLite value into what dest points to, with the types pgx takes from PostgreSQL.
func assign(dest any, v driver.Value) error {
	switch d := dest.(type) {
	case *string:
		if s, ok := v.(string); ok {
			*d = s
			return nil
		}
	case *[]byte:
		switch v := v.(type) {
		case []byte: // a fresh copy made by the driver
			*d = v
			return nil
		case nil:
			*d = nil
			return nil
		}
	case *int64:
		if n, ok := v.(int64); ok {
			*d = n
			return nil
		}
	case *int:
		if n, ok := v.(int64); ok {
			*d = int(n)
			return nil
		}
	case *bool:
		if n, ok := v.(int64); ok && (n == 0 || n == 1) {
			*d = n == 1
			return nil
		}
	case *any:
		*d = v
		return nil
	case sql.Scanner:
		return d.Scan(v)
	}
	return assignReflect(dest, v)
}

// assignReflect serves the types built on the basic ones, and pointers to them.
func assignReflect(dest any, v driver.Value) error {
	p := reflect.ValueOf(dest)
	if p.Kind() != reflect.Pointer || p.IsNil() {
		return errors.New("the destination is not a pointer")
	}
	d := p.Elem()
	if d.Kind() == reflect.Pointer {
		if v == nil {
			d.SetZero()
			return nil
		}
		target := reflect.New(d.Type().Elem())
		if err := assign(target.Interface(), v); err != nil {
			return err
		}
		d.Set(target)
		return nil
	}
	switch v := v.(type) {
	case nil:
		return fmt.Errorf("NULL into %T", dest)
	case string:
		switch {
		case d.Kind() == reflect.String:
			d.SetString(v)
			return nil
		case isBytes(d):
			d.SetBytes([]byte(v))
			return nil
		}
	case []byte:
		switch {
		case isBytes(d):
			d.SetBytes(v)
			return nil
		case d.Kind() == reflect.String: // bytes that were written into a TEXT column
			d.SetString(string(v))
			return nil
		}
	case float64:
		if d.CanFloat() {
			d.SetFloat(v)
			return nil
		}
	case int64:
		switch {
		case d.CanInt() && !d.OverflowInt(v):
			d.SetInt(v)
			return nil
		case d.CanUint() && v >= 0 && !d.OverflowUint(uint64(v)):
			d.SetUint(uint64(v))
			return nil
		case d.CanFloat():
			d.SetFloat(float64(v))
			return nil
		case d.Kind() == reflect.Bool && (v == 0 || v == 1):
			d.SetBool(v == 1)
			return nil
		case d.CanInt() || d.CanUint():
			return errors.New(strconv.FormatInt(v, 10) + " does not fit")
		}
	}
	return fmt.Errorf("%T into %T", v, dest)
}

func isBytes(v reflect.Value) bool {
	return v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8
}
