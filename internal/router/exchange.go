package router

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"net/textproto"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/strongroom/strongroom/internal/edge/hostname"
)

// exchange is one request and its answer.
type exchange struct {
	proxy  *proxy
	out    *answer
	in     *http.Request
	id     string
	fwd    string
	start  time.Time
	cancel context.CancelFunc
	dog    *watchdog

	host    *host
	app     string
	backend *backend // the last one tried; counted in until end
	connect time.Duration
	code    code

	// Set by the goroutines that move bodies, and by the watchdog.
	fromClient   atomic.Bool // waiting for the client's next bytes
	uploaded     atomic.Bool // the request's body was read to its end
	uploadFailed atomic.Bool // the client broke off its body
	responded    atomic.Bool // the response's head is there
	expired      atomic.Pointer[code]
	tunnelled    atomic.Int64
}

// dialError marks a failure to connect: nothing was sent, so another backend
// may be tried whatever the request is.
type dialError struct{ err error }

func (e *dialError) Error() string { return "connect to a backend: " + e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

var errNoBackend = errors.New("no backend")

// serve answers the request.
func (x *exchange) serve() {
	hosts := x.proxy.hosts() // once: two snapshots have no host in common
	sni := hosts.find(x.in.TLS.ServerName)
	x.host = sni
	if sni != nil {
		x.app = sni.app
	}
	switch {
	case sni == nil || x.in.TLS.Version < sni.tls.MinVersion || !sni.admits(proofOf(x.in.Context()), x.start):
		// The snapshot has changed since the connection was made.
		x.out.Header().Set("Connection", "close")
		x.fail(codeMisdirected)
	case hosts.find(hostname.OfAuthority(x.in.Host)) != sni:
		x.fail(codeMisdirected)
	case sni.maintenance:
		x.fail(codeMaintenance)
	default:
		x.out.hsts = sni.hsts
		x.forward()
	}
}

// forward sends the request to a backend and its answer to the client.
func (x *exchange) forward() {
	// Between the request's end and the response's head, FirstByte applies.
	awaiting := func() bool { return x.uploaded.Load() && !x.responded.Load() }
	x.dog = watch(x.proxy.cfg.Idle, awaiting, x.expire)
	if x.in.ProtoMajor == 1 && x.in.ContentLength != 0 {
		// Otherwise the server throws away part of a body that is still coming in
		// when the app begins to answer. Every connection of ours supports this.
		_ = http.NewResponseController(x.out.ResponseWriter).EnableFullDuplex()
	}
	ctx, cancel := context.WithCancel(x.in.Context())
	x.cancel = cancel
	reverse := httputil.ReverseProxy{
		Rewrite:        func(p *httputil.ProxyRequest) { x.rewrite(p) },
		Transport:      x,
		ModifyResponse: x.received,
		ErrorHandler:   func(_ http.ResponseWriter, _ *http.Request, err error) { x.fail(x.diagnose(err)) },
		BufferPool:     x.proxy.buffers,
		ErrorLog:       x.proxy.quiet,
	}
	reverse.ServeHTTP(x.out, x.in.WithContext(ctx))
}

// RoundTrip sends the request to one backend, and to a second one if the first
// cannot be connected to.
func (x *exchange) RoundTrip(r *http.Request) (*http.Response, error) {
	for first := true; ; first = false {
		if err := x.choose(); err != nil {
			return nil, err
		}
		response, err := x.try(r)
		var dial *dialError
		if err == nil || !errors.As(err, &dial) || r.Context().Err() != nil {
			return response, err
		}
		x.backend.failed.Store(time.Now().UnixNano())
		if !first || pick(x.host.backends, x.backend, time.Now()) == nil {
			return nil, err
		}
	}
}

// choose counts the exchange to a backend other than the present one.
func (x *exchange) choose() error {
	tried := x.backend
	for {
		next := pick(x.host.backends, tried, time.Now())
		if next == nil {
			return errNoBackend
		}
		if next.acquire() {
			x.release()
			x.backend = next
			return nil
		}
		// It left in this moment, so there is a newer snapshot.
		if x.host = x.proxy.hosts().find(x.in.TLS.ServerName); x.host == nil {
			return errNoBackend
		}
	}
}

// try sends the request to the chosen backend.
func (x *exchange) try(r *http.Request) (*http.Response, error) {
	began := time.Now()
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { x.connect = time.Since(began) }}
	attempt := r.WithContext(httptrace.WithClientTrace(r.Context(), trace))
	url := *r.URL
	url.Host = x.backend.Address
	attempt.URL = &url
	if r.Body != nil {
		attempt.Body = &upload{Reader: r.Body, exchange: x}
	} else {
		x.uploaded.Store(true)
	}
	return x.proxy.transport.RoundTrip(attempt)
}

// received looks at the head of a response before the client gets it.
func (x *exchange) received(response *http.Response) error {
	x.responded.Store(true)
	x.dog.touch()
	response.Header.Add("Via", "1.1 "+via)
	if stream, ok := response.Body.(io.ReadWriteCloser); ok && response.StatusCode == http.StatusSwitchingProtocols {
		response.Body = &tunnel{ReadWriteCloser: stream, exchange: x}
		return nil
	}
	response.Body = &download{ReadCloser: response.Body, exchange: x}
	return nil
}

// expire ends an exchange that does not move any more. It is the watchdog's.
func (x *exchange) expire() {
	why := &codeIdle
	if x.fromClient.Load() {
		why = &codeClientIdle
	}
	x.expired.Store(why)
	x.cancel()
	// A goroutine may be stuck reading from or writing to the client. Errors
	// mean that the connection is gone or was hijacked, which cancel has ended.
	control := http.NewResponseController(x.out.ResponseWriter)
	_ = control.SetReadDeadline(time.Now())
	_ = control.SetWriteDeadline(time.Now())
}

// fail notes the code and sends its page, if it is not too late for that. With
// nobody to send it to, it breaks off: a handler that just returns is a success.
func (x *exchange) fail(c code) {
	x.code = c
	if x.out.started() {
		return
	}
	if c.status == statusClientGone {
		panic(http.ErrAbortHandler)
	}
	if x.host != nil {
		x.out.hsts = x.host.hsts
	}
	writePage(x.out, c, x.id)
}

// diagnose finds Heroku's word for what went wrong before there was a response.
func (x *exchange) diagnose(err error) code {
	var dial *dialError
	var network net.Error
	timeout := errors.As(err, &network) && network.Timeout()
	switch {
	case x.expired.Load() != nil:
		return *x.expired.Load()
	case x.in.Context().Err() != nil || x.uploadFailed.Load():
		return codeClientGone
	case errors.Is(err, errNoBackend) && x.host != nil && x.host.crashed:
		return codeCrashed
	case errors.Is(err, errNoBackend):
		return codeNoProcesses
	case errors.As(err, &dial) && timeout:
		return codeConnectSlow
	case errors.As(err, &dial):
		return codeRefused
	case timeout:
		return codeTimeout
	case poorlyFormed(err):
		return codePoorly
	case !x.uploaded.Load():
		return codeInterrupted
	default:
		return codeNoResponse
	}
}

// poorlyFormed tells an answer that is not HTTP from none. Most of the
// transport's errors for it have no type.
func poorlyFormed(err error) bool {
	var protocol textproto.ProtocolError
	if errors.As(err, &protocol) {
		return true
	}
	text := err.Error()
	for _, sign := range []string{"malformed", "headers exceeded", "transfer encoding", "bad Content-Length", "invalid", "switch"} {
		if strings.Contains(text, sign) {
			return true
		}
	}
	return false
}

// end is deferred around serve. It gives back what the exchange holds, logs, and
// goes on aborting if the response was broken off.
func (x *exchange) end() {
	cause := recover()
	if x.dog != nil {
		x.dog.stop()
		x.cancel()
	}
	switch {
	case cause != nil:
		x.code = x.broken(cause)
	case x.expired.Load() != nil: // an upgraded connection
		x.code = *x.expired.Load()
	}
	x.log()
	x.release()
	if cause != nil {
		panic(http.ErrAbortHandler)
	}
}

// broken finds the word for an exchange that broke off, mostly after its response
// had begun.
func (x *exchange) broken(cause any) code {
	if cause != http.ErrAbortHandler {
		x.proxy.log.Error("request failed", "request_id", x.id, "panic", cause, "stack", string(debug.Stack()))
		return codePlatform
	}
	switch {
	case x.code != codeNone:
		return x.code
	case x.expired.Load() != nil:
		return *x.expired.Load()
	case x.in.Context().Err() != nil:
		return codeClientGone
	default:
		return codeInterrupted
	}
}

func (x *exchange) release() {
	if x.backend != nil {
		x.backend.release()
		x.backend = nil
	}
}

func (x *exchange) log() {
	entry := line{
		code: x.code, method: x.in.Method, path: x.in.URL.EscapedPath(), host: x.in.Host,
		requestID: x.id, fwd: x.fwd, connect: x.connect, service: time.Since(x.start) - x.connect,
		status: x.out.status, bytes: x.out.bytes + x.tunnelled.Load(), tls: x.in.TLS.Version,
	}
	if x.backend != nil {
		entry.dyno = x.backend.Dyno
	}
	if entry.status == 0 {
		entry.status = x.code.status
	}
	x.proxy.access.write(x.app, entry.String())
}
