package config

import (
	"encoding"
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// envPrefix begins the name of every variable that is a setting.
const envPrefix = "GATEHOUSE_"

// field is one setting: a leaf of Config.
type field struct {
	key    string // as in the file, sections joined by dots
	target any    // pointer into the Config: *string, *bool, *int, *time.Duration, *Secret, *[]…
}

// env returns the name of the field's variable.
func (f field) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(f.key, ".", "_"))
}

// secret reports whether the field's value must not be shown, and may come from a file.
func (f field) secret() bool {
	switch f.target.(type) {
	case *Secret, *[]Secret:
		return true
	}
	return false
}

func (f field) insecure() bool { return strings.HasPrefix(f.key, "insecure_") }

// kind names what the field holds, for messages and the reference.
func (f field) kind() string {
	switch f.target.(type) {
	case *bool:
		return "true or false"
	case *int:
		return "number"
	case *time.Duration:
		return "duration"
	case *Secret:
		return "secret"
	case *[]Secret:
		return "list of secrets"
	case *[]netip.Prefix:
		return "list of networks"
	case *[]string:
		return "list of names"
	}
	return "text"
}

// fields returns the settings of c in the order of the struct.
func fields(c *Config) []field {
	var out []field
	var walk func(v reflect.Value, prefix string)
	walk = func(v reflect.Value, prefix string) {
		for i := range v.NumField() {
			name := v.Type().Field(i).Tag.Get("yaml")
			if name == "" {
				continue
			}
			at := v.Field(i)
			if _, isText := at.Addr().Interface().(encoding.TextMarshaler); at.Kind() == reflect.Struct && !isText {
				walk(at, prefix+name+".")
				continue
			}
			out = append(out, field{prefix + name, at.Addr().Interface()})
		}
	}
	walk(reflect.ValueOf(c).Elem(), "")
	return out
}

// set gives the field the value that texts spell: one text for a single value, any number for a
// list. The error says what was expected and never repeats a secret.
func (f field) set(texts []string) error {
	one := ""
	switch f.target.(type) {
	case *[]Secret, *[]netip.Prefix, *[]string:
	default:
		if len(texts) != 1 {
			return fmt.Errorf("is a list, but must be a single value")
		}
		one = texts[0]
	}
	switch to := f.target.(type) {
	case *string:
		*to = one
	case *Secret:
		*to = NewSecret(one)
	case *bool:
		if one != "true" && one != "false" {
			return fmt.Errorf("%q must be true or false", one)
		}
		*to = one == "true"
	case *int:
		n, err := strconv.Atoi(one)
		if err != nil {
			return fmt.Errorf("%q must be a whole number", one)
		}
		*to = n
	case *time.Duration:
		d, err := parseDuration(one)
		if err != nil {
			return err
		}
		*to = d
	case *[]Secret:
		*to = nil
		for _, t := range texts {
			*to = append(*to, NewSecret(t))
		}
	case *[]string:
		*to = texts
	case *[]netip.Prefix:
		*to = nil
		for _, t := range texts {
			p, err := parseNetwork(t)
			if err != nil {
				return err
			}
			*to = append(*to, p)
		}
	default:
		panic(fmt.Sprintf("config: %s has a type that set does not know", f.key))
	}
	return nil
}

// parseDuration reads 30s, 10m, 12h, 30d and their combinations. A bare number is refused: nobody
// would agree on its unit.
func parseDuration(s string) (time.Duration, error) {
	days, rest, found := strings.Cut(s, "d")
	if !found {
		days, rest = "0", s
	}
	n, err := strconv.ParseUint(days, 10, 16)
	d := time.Duration(0)
	if err == nil && (!found || rest != "") {
		d, err = time.ParseDuration(rest)
	}
	if err != nil || s == "0" || strings.HasPrefix(rest, "-") || strings.HasPrefix(rest, "+") {
		return 0, fmt.Errorf("%q must be a duration such as 30s, 10m, 12h or 30d", s)
	}
	return time.Duration(n)*day + d, nil
}

// formatDuration writes what parseDuration reads, in the largest units that fit.
func formatDuration(d time.Duration) string {
	if d >= day && d%day == 0 {
		return strconv.Itoa(int(d/day)) + "d"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// parseNetwork reads a network, or an address as the network of that one.
func parseNetwork(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4In6() {
		return p, fmt.Errorf("%q must be a network such as 10.1.0.0/16 or an address", s)
	}
	if p.Masked() != p {
		return p, fmt.Errorf("%q is an address inside a network; the network is %s, the address alone %s", s, p.Masked(), p.Addr())
	}
	return p, nil
}

// text writes a single value as set reads it, as YAML. It is not for secrets.
func (f field) text() string {
	switch v := f.target.(type) {
	case *string:
		return quote(*v)
	case *bool:
		return strconv.FormatBool(*v)
	case *int:
		return strconv.Itoa(*v)
	case *time.Duration:
		return formatDuration(*v)
	}
	panic(fmt.Sprintf("config: %s is not a single plain value", f.key))
}
