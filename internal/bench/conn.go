package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// conn is one kept-alive connection. It speaks just enough HTTP/1.1 for our own servers: a whole
// client would take more of the machine than the server that is measured.
type conn struct {
	net.Conn
	read  *bufio.Reader
	body  []byte
	sent  [][]byte // requests of the operation under way, in buffers that are used again
	used  int      // how many of them
	bytes int64    // of all bodies so far
	count int64    // of all answers so far
}

// answer is what of a response is looked at. Its slices last until the next request.
type answer struct {
	status   int
	location []byte
	body     []byte
}

func dial(addr string) (*conn, error) {
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, read: bufio.NewReaderSize(c, 16<<10)}, nil
}

// begin returns an empty buffer for the next request of the operation.
func (c *conn) begin() []byte {
	if c.used == len(c.sent) {
		c.sent = append(c.sent, nil)
	}
	return c.sent[c.used][:0]
}

// do sends a request made in the buffer of begin, and reads the answer.
func (c *conn) do(request []byte) (answer, error) {
	c.sent[c.used] = request
	c.used++
	return c.roundTrip(request)
}

func (c *conn) roundTrip(request []byte) (a answer, err error) {
	if _, err := c.Write(request); err != nil {
		return a, err
	}
	line, err := c.line()
	if err != nil {
		return a, err
	}
	if len(line) < 12 {
		return a, fmt.Errorf("status line %q", line)
	}
	a.status, _ = strconv.Atoi(string(line[9:12]))
	length, chunked := 0, false
	for {
		if line, err = c.line(); err != nil {
			return a, err
		}
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch string(name) {
		case "Content-Length":
			length, _ = strconv.Atoi(string(value))
		case "Transfer-Encoding":
			chunked = true
		case "Location":
			a.location = append(a.location, value...)
		}
	}
	c.body = c.body[:0]
	if chunked {
		err = c.chunks()
	} else {
		err = c.take(length)
	}
	a.body = c.body
	c.bytes, c.count = c.bytes+int64(len(c.body)), c.count+1
	return a, err
}

func (c *conn) line() ([]byte, error) {
	line, err := c.read.ReadSlice('\n')
	return bytes.TrimRight(line, "\r\n"), err
}

func (c *conn) take(n int) error {
	from := len(c.body)
	if cap(c.body) < from+n {
		c.body = append(make([]byte, 0, from+2*n), c.body...)
	}
	c.body = c.body[:from+n]
	_, err := io.ReadFull(c.read, c.body[from:])
	return err
}

func (c *conn) chunks() error {
	for {
		line, err := c.line()
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(string(line), 16, 32)
		if err != nil {
			return err
		}
		if err := c.take(int(n)); err != nil {
			return err
		}
		if _, err := c.line(); err != nil {
			return err
		}
		if n == 0 {
			return nil
		}
	}
}

// The header that a proxy and an ordinary client send along.
const commonHeader = " HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: bench\r\nAccept: */*\r\nX-Forwarded-For: 203.0.113.7\r\n"

func get(b []byte, path string, header ...string) []byte {
	b = append(append(append(b, "GET "...), path...), commonHeader...)
	return append(headers(b, header), "\r\n"...)
}

// post appends a request with a form, which comes in parts.
func post(b []byte, path, authorization string, form ...string) []byte {
	b = append(append(append(b, "POST "...), path...), commonHeader...)
	b = headers(b, []string{"Authorization", authorization, "Content-Type", "application/x-www-form-urlencoded"})
	length := 0
	for _, part := range form {
		length += len(part)
	}
	b = append(strconv.AppendInt(append(b, "Content-Length: "...), int64(length), 10), "\r\n\r\n"...)
	for _, part := range form {
		b = append(b, part...)
	}
	return b
}

func headers(b []byte, pairs []string) []byte {
	for i := 0; i+1 < len(pairs); i += 2 {
		b = append(append(append(append(b, pairs[i]...), ": "...), pairs[i+1]...), "\r\n"...)
	}
	return b
}

// expect turns an answer of another status into an error.
func (a answer) expect(status int) error {
	if a.status != status {
		return fmt.Errorf("status %d %s, wanted %d: %.300s", a.status, http.StatusText(a.status), status, a.body)
	}
	return nil
}

// member returns the value of a string member of a JSON object whose values have no escapes.
func member(body []byte, name string) string {
	_, rest, _ := bytes.Cut(body, []byte(`"`+name+`":"`))
	value, _, _ := bytes.Cut(rest, []byte{'"'})
	return string(value)
}
