package main

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write the expected output anew")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"gatehouse": main, "guarded": guarded})
}

// The scripts run the real command. Each begins with a configuration of its own in gatehouse.yaml.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", UpdateScripts: *update, RequireExplicitExec: true, Setup: setUp,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"json": readJSON, "normal": normal, "await": await, "newkey": newKey, "post": post, "tokens": tokenOf},
	})
}

const configuration = `issuer: http://127.0.0.1:%[1]d/
listen: 127.0.0.1:%[1]d
operations:
  listen: 127.0.0.1:%[2]d
database:
  url: sqlite:gatehouse.db
master_keys: [file:master.key]
mail: {host: localhost, tls: none, from: login@example.com}
`

// setUp writes a good configuration with ports of its own.
func setUp(env *testscript.Env) error {
	var ports [2]int
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer l.Close()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	env.Setenv("PORT", fmt.Sprint(ports[0]))
	env.Setenv("HOUSE", fmt.Sprintf("http://127.0.0.1:%d", ports[0]))
	env.Setenv("OPERATIONS", fmt.Sprintf("http://127.0.0.1:%d", ports[1]))
	env.Setenv("GATEHOUSE_CONFIG", "gatehouse.yaml")
	if err := os.WriteFile(env.WorkDir+"/gatehouse.yaml", fmt.Appendf(nil, configuration, ports[0], ports[1]), 0o600); err != nil {
		return err
	}
	return os.WriteFile(env.WorkDir+"/master.key", []byte(randomKey()+"\n"), 0o600)
}

func randomKey() string {
	key := make([]byte, 32)
	rand.Read(key)
	return base64.StdEncoding.EncodeToString(key)
}

// newKey FILE: writes a master key in front of those in FILE; with ! it removes the last one.
func newKey(ts *testscript.TestScript, remove bool, args []string) {
	path := ts.MkAbs(args[0])
	keys := strings.Fields(ts.ReadFile(args[0]))
	if remove {
		keys = keys[:len(keys)-1]
	} else {
		keys = append([]string{randomKey()}, keys...)
	}
	ts.Check(os.WriteFile(path, []byte(strings.Join(keys, "\n")+"\n"), 0o600))
}

// json MEMBER VAR [NAME]: puts a member of the JSON on stdout, of the first object in it or of the one with this name,
// into a variable.
func readJSON(ts *testscript.TestScript, _ bool, args []string) {
	var object map[string]any
	text := ts.ReadFile("stdout")
	if list := []map[string]any{}; json.Unmarshal([]byte(text), &list) == nil && len(list) > 0 {
		object = list[0]
		if len(args) > 2 {
			object = list[slices.IndexFunc(list, func(o map[string]any) bool { return o["name"] == args[2] })]
		}
	} else {
		ts.Check(json.Unmarshal([]byte(text), &object))
	}
	value, ok := object[args[0]]
	if !ok {
		ts.Fatalf("no %s in %s", args[0], ts.ReadFile("stdout"))
	}
	ts.Setenv(args[1], fmt.Sprint(value))
}

// What is different each time.
var changing = []struct {
	what *regexp.Regexp
	name string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "UUID"},
	{regexp.MustCompile(`\b[A-Za-z0-9]{43}\b`), "SECRET"},
	{regexp.MustCompile(`\b[A-Za-z0-9]{32}\b`), "CLIENT-ID"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?Z?`), "TIME"},
	{regexp.MustCompile(`http://127\.0\.0\.1:\d+`), "HOUSE"},
}

// normal FILE: compares stdout with a file, after what changes each time was replaced in stdout.
func normal(ts *testscript.TestScript, _ bool, args []string) {
	got := ts.ReadFile("stdout")
	for _, c := range changing {
		got = c.what.ReplaceAllString(got, c.name)
	}
	if want := ts.ReadFile(args[0]); got != want {
		ts.Fatalf("stdout is\n%s\nand not, as %s says,\n%s", got, args[0], want)
	}
}

// await URL: waits until it answers 200. await FILE: waits until it is there.
func await(ts *testscript.TestScript, _ bool, args []string) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for range 1_000_000 {
		if !strings.HasPrefix(args[0], "http") {
			if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
				return
			}
			continue
		}
		resp, err := client.Get(args[0])
		if err != nil {
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return
		}
	}
	ts.Fatalf("%s never comes", args[0])
}

// post STATUS URL FORM [TEXT]: sends a form as a program would, and demands a status, and a text in the answer.
func post(ts *testscript.TestScript, _ bool, args []string) {
	resp, err := (&http.Client{}).Post(args[1], "application/x-www-form-urlencoded", strings.NewReader(args[2]))
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if !strings.HasPrefix(resp.Status, args[0]) {
		ts.Fatalf("%s: %s %s", args[1], resp.Status, body)
	}
	if len(args) > 3 && !strings.Contains(string(body), args[3]) {
		ts.Fatalf("%s does not say %s, but %s", args[1], args[3], body)
	}
}

// tokens VAR URL FORM: asks the token endpoint and puts the access token into a variable.
func tokenOf(ts *testscript.TestScript, _ bool, args []string) {
	resp, err := (&http.Client{}).Post(args[1], "application/x-www-form-urlencoded", strings.NewReader(args[2]))
	ts.Check(err)
	defer resp.Body.Close()
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	ts.Check(json.NewDecoder(resp.Body).Decode(&answer))
	if answer.AccessToken == "" {
		ts.Fatalf("no token: %s", resp.Status)
	}
	ts.Setenv(args[0], answer.AccessToken)
}
