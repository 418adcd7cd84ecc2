package checkup

import (
	"net/url"
	"strings"

	"github.com/gatehouse-dev/gatehouse/protocol/oauth"
)

// nearest returns the registered address that differs least from what was sent, and in what. Both
// are empty where nothing is near.
func nearest(sent string, registered []string) (address, difference string) {
	least := anotherHost
	for _, r := range registered {
		if d, cost := differ(sent, r); cost < least {
			address, difference, least = r, d, cost
		}
	}
	return address, difference
}

// anotherHost is how much it is when not even the host is the same: such addresses are not near.
const anotherHost = 50

// differ says in what two addresses differ, and how much that is.
func differ(sent, registered string) (difference string, cost int) {
	if strings.TrimSuffix(sent, "/") == strings.TrimSuffix(registered, "/") {
		return "a slash at the end", 1
	}
	s, errS := url.Parse(strings.ReplaceAll(sent, cut, ""))
	r, errR := url.Parse(registered)
	if errS != nil || errR != nil || s.Host == "" || r.Host == "" {
		return "", anotherHost
	}
	var parts []string
	note := func(differs bool, what string, weight int) {
		if differs {
			parts, cost = append(parts, what), cost+weight
		}
	}
	loopback := oauth.IsLoopback(s.Hostname()) && oauth.IsLoopback(r.Hostname())
	note(s.Scheme != r.Scheme, s.Scheme+" in place of "+r.Scheme, 2)
	note(s.Hostname() != r.Hostname() && loopback, s.Hostname()+" in place of "+r.Hostname(), 2)
	note(s.Hostname() != r.Hostname() && !loopback, "another host", anotherHost)
	note(s.Port() != r.Port(), "another port", 3)
	note(s.Path != r.Path && strings.EqualFold(s.Path, r.Path), "upper and lower case", 1)
	note(!strings.EqualFold(s.Path, r.Path), "another path", 4)
	note(s.RawQuery != r.RawQuery || strings.Contains(sent, "?"), "a query", 4)
	return strings.Join(parts, ", "), cost
}

// sameHouse reports whether an address lies where one that is registered does, or on this machine: it
// can be the application's own. Anybody can send any other in its name.
func sameHouse(sent string, registered []string) bool {
	s, err := url.Parse(sent)
	if err != nil {
		return false
	}
	if oauth.IsLoopback(s.Hostname()) {
		return true
	}
	for _, address := range registered {
		if r, err := url.Parse(address); err == nil && r.Host != "" && r.Hostname() == s.Hostname() {
			return true
		}
	}
	return false
}

// site is what browsers send cookies along within, roughly: the last two labels of a name, or an
// address. Ports do not count; schemes do.
func site(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	host := u.Hostname()
	if labels := strings.Split(host, "."); len(labels) > 2 && labels[len(labels)-1] > "9" {
		host = strings.Join(labels[len(labels)-2:], ".")
	}
	return u.Scheme + "://" + host
}
