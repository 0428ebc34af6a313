package router

import (
	"context"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// idleBackend is how long an unused connection to a backend is kept. Common app
// servers close theirs after two seconds or more; a request that meets that
// moment is lost if it may not be repeated. So the router closes first.
const idleBackend = time.Second

// proxy is the handler of all requests. What it needs of the rest of the router
// is the snapshot and a place to log: another implementation can take its place.
type proxy struct {
	cfg       Config
	log       *slog.Logger
	quiet     *log.Logger // for ReverseProxy, which tells us nothing new
	hosts     func() *hosts
	access    *accessLog
	transport *http.Transport
	buffers   *buffers
	requests  atomic.Uint64
}

func newProxy(cfg Config, hosts func() *hosts, access *accessLog, logger *slog.Logger) *proxy {
	dialer := &net.Dialer{Timeout: cfg.Connect}
	return &proxy{
		cfg: cfg, log: logger, hosts: hosts, access: access,
		quiet:   slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		buffers: &buffers{pool: sync.Pool{New: func() any { return new([copyBytes]byte) }}},
		transport: &http.Transport{
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := dialer.DialContext(ctx, network, address)
				if err != nil {
					return nil, &dialError{err}
				}
				return conn, nil
			},
			DisableCompression:     true, // what the app sent is what the client gets
			MaxIdleConnsPerHost:    64,
			IdleConnTimeout:        idleBackend,
			ResponseHeaderTimeout:  cfg.FirstByte,
			ExpectContinueTimeout:  time.Second,
			MaxResponseHeaderBytes: 512 << 10,
		},
	}
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.requests.Add(1)
	x := &exchange{
		proxy: p, out: &answer{ResponseWriter: w}, in: r, code: codeNone,
		id: requestID(r), fwd: forwarded(r), start: time.Now(),
	}
	defer x.end()
	x.serve()
}

// copyBytes is the size of the buffers through which bodies are copied.
const copyBytes = 32 << 10

// buffers is a httputil.BufferPool.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte { return b.pool.Get().(*[copyBytes]byte)[:] }

func (b *buffers) Put(buffer []byte) { b.pool.Put((*[copyBytes]byte)(buffer)) }
