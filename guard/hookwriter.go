package guard

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// hookWriter runs a hook just before the header is sent. Schemes that keep a
// cookie need it: whether a session changed is known only when the handler
// starts to answer. Other schemes pay nothing, their handlers get the server's
// own writer.
type hookWriter struct {
	http.ResponseWriter
	hook func(http.Header) // nil once it ran
}

func (w *hookWriter) commit() {
	if hook := w.hook; hook != nil {
		w.hook = nil
		hook(w.Header())
	}
}

func (w *hookWriter) WriteHeader(status int) {
	// 1xx are sent ahead of the real header, but 101 is the last one.
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.commit()
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *hookWriter) Write(b []byte) (int, error) {
	w.commit()
	return w.ResponseWriter.Write(b)
}

// ReadFrom keeps sendfile available to http.ServeContent.
func (w *hookWriter) ReadFrom(src io.Reader) (int64, error) {
	w.commit()
	return io.Copy(w.ResponseWriter, src)
}

// Unwrap lets http.ResponseController reach the deadlines and full duplex.
func (w *hookWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush serves code that asserts http.Flusher; it is a no-op where the server
// cannot flush.
func (w *hookWriter) Flush() { _ = w.FlushError() }

// FlushError is what http.ResponseController calls.
func (w *hookWriter) FlushError() error {
	w.commit()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack hands the connection over, for a websocket. The hook runs first: the
// libraries that write the 101 by hand copy it from Header.
func (w *hookWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.commit()
	return http.NewResponseController(w.ResponseWriter).Hijack()
}
