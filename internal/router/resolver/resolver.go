package resolver

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Bounds of what dynos can make the resolver do at once.
const (
	maxForwards = 128              // questions waiting for the engine
	maxStreams  = 128              // TCP connections
	streamTime  = 10 * time.Second // between questions on a TCP connection
)

var errNotQuery = errors.New("not a query")

// Resolver answers the questions of one space.
type Resolver struct {
	log      *slog.Logger
	zone     atomic.Pointer[Zone] // never nil
	forwards chan struct{}        // holds one element for each question that the engine has
	streams  chan struct{}        // and one for each TCP connection
	limits   limits
	patience time.Duration // with the engine
}

// New returns a resolver that knows no names and refuses all others.
func New(log *slog.Logger) *Resolver {
	r := &Resolver{
		log: log, patience: outsideTime,
		forwards: make(chan struct{}, maxForwards), streams: make(chan struct{}, maxStreams),
	}
	r.zone.Store(&Zone{})
	return r
}

// Update replaces what the resolver knows.
func (r *Resolver) Update(zone *Zone) { r.zone.Store(zone) }

// ServePacket answers questions that come by UDP until ctx ends. It closes conn.
func (r *Resolver) ServePacket(ctx context.Context, conn net.PacketConn) error {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	buffer := make([]byte, maxQuery)
	for {
		n, client, err := conn.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil { // such as an ICMP error that a former answer caused
			r.log.Debug("read a DNS question", "err", err)
			continue
		}
		from := address(client)
		if !r.limits.allow(from) {
			continue
		}
		send := func(answer []byte) {
			if _, err := conn.WriteTo(answer, client); err != nil {
				r.log.Debug("send a DNS answer", "err", err)
			}
		}
		if answer, later := r.answer(buffer[:n], "udp", from); later != nil {
			r.later(ctx, later, send)
		} else if answer != nil {
			send(answer)
		}
	}
}

// ServeStream answers questions that come by TCP until ctx ends. It closes the
// listener and its connections.
func (r *Resolver) ServeStream(ctx context.Context, listener net.Listener) error {
	defer listener.Close()
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			r.log.Error("accept a DNS connection", "err", err)
			time.Sleep(20 * time.Millisecond) // out of descriptors, most likely
			continue
		}
		select {
		case r.streams <- struct{}{}:
			go func() {
				defer func() { <-r.streams }()
				r.serveConn(ctx, conn)
			}()
		default:
			conn.Close()
		}
	}
}

// serveConn answers one question after the other.
func (r *Resolver) serveConn(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	var length [2]byte
	from := address(conn.RemoteAddr())
	for {
		if conn.SetDeadline(time.Now().Add(streamTime)) != nil {
			return
		}
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return
		}
		size := binary.BigEndian.Uint16(length[:])
		if size > maxQuery {
			return
		}
		query := make([]byte, size)
		if _, err := io.ReadFull(conn, query); err != nil {
			return
		}
		if !r.limits.allow(from) {
			return
		}
		answer, later := r.answer(query, "tcp", from)
		if later != nil {
			done := make(chan []byte, 1)
			r.later(ctx, later, func(answer []byte) { done <- answer })
			answer = <-done
		}
		if answer == nil {
			return
		}
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

// pending is a question that the engine has to answer.
type pending struct {
	question question
	client   netip.Addr
	outside  string
	network  string
	patience time.Duration
}

// limit is the size that an answer may have.
func limit(q question, network string) int {
	if network == "tcp" {
		return math.MaxUint16
	}
	return q.size
}

// answer returns the answer to a query, nil if it deserves none, or what has to
// be asked elsewhere.
func (r *Resolver) answer(query []byte, network string, client netip.Addr) ([]byte, *pending) {
	q, code, err := parse(query)
	if err != nil {
		return nil, nil
	}
	if code != dnsmessage.RCodeSuccess {
		return r.pack(q, reply{code: code}, network), nil
	}
	zone := r.zone.Load()
	if local, ok := zone.local(q); ok {
		return r.pack(q, local, network), nil
	}
	if zone.outside == "" {
		return r.pack(q, reply{code: dnsmessage.RCodeRefused}, network), nil
	}
	return nil, &pending{question: q, client: client, outside: zone.outside, network: network, patience: r.patience}
}

func (r *Resolver) pack(q question, answer reply, network string) []byte {
	packed, err := pack(q, answer, limit(q, network))
	if err != nil {
		r.log.Error("pack a DNS answer", "err", err)
		return nil
	}
	return packed
}

// later asks the engine in a goroutine, and calls send once.
func (r *Resolver) later(ctx context.Context, p *pending, send func([]byte)) {
	failed := func() { send(r.pack(p.question, reply{code: dnsmessage.RCodeServerFailure}, p.network)) }
	select {
	case r.forwards <- struct{}{}:
	default:
		failed()
		return
	}
	go func() {
		defer func() { <-r.forwards }()
		answer, err := p.ask(ctx)
		if err != nil {
			r.log.Debug("ask the engine for a name", "err", err)
			failed()
			return
		}
		send(r.pack(p.question, answer, p.network))
	}()
}
