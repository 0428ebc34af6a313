package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/strongroom/strongroom/internal/fault"
)

// handle serves one SSH connection, from its handshake to its end.
func (b *Bastion) handle(ctx context.Context, conn net.Conn, remote netip.Addr, leave func()) {
	conn.SetDeadline(time.Now().Add(b.cfg.Handshake))
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	client, channels, requests, err := ssh.NewServerConn(conn, b.serverConfig(ctx, remote))
	stop()
	if err != nil {
		var auth *ssh.ServerAuthError
		b.sources.refused(remote, errors.As(err, &auth) && len(auth.Errors) > 0)
		b.cfg.Log.Info("bastion refused", "remote", remote, "error", err)
		return
	}
	defer client.Close()
	conn.SetDeadline(time.Time{})
	t := client.Permissions.ExtraData[tunnelKey{}].(Tunnel)
	log := b.cfg.Log.With("session", t.ID)
	if err := b.open(ctx, t); err != nil {
		b.sources.refused(remote, fault.Of(err) != fault.Unavailable)
		log.Warn("a tunnel was not opened", "remote", remote, "error", err)
		return
	}
	b.sources.opened()
	leave()
	f := &forwarder{cfg: b.cfg, tunnel: t, log: log}
	cause := f.run(ctx, client, channels, requests)
	log.Info("tunnel ended", "reason", reason(cause), "cause", cause)
	b.finish(t, TunnelEnding{Reason: reason(cause), Channels: int(f.channels.Load()), In: f.in.Load(), Out: f.out.Load()}, log)
}

// tunnelKey is where the permissions of a connection keep its Tunnel.
type tunnelKey struct{}

// serverConfig of one connection. The key's tunnel is looked up before the client
// has proven the key; nothing is used up or opened until it has.
func (b *Bastion) serverConfig(ctx context.Context, remote netip.Addr) *ssh.ServerConfig {
	cfg := &ssh.ServerConfig{
		Config:                  ssh.Config{KeyExchanges: keyExchanges(), Ciphers: ciphers(), MACs: macs()},
		PublicKeyAuthAlgorithms: keyAlgorithms(),
		MaxAuthTries:            4,
		ServerVersion:           "SSH-2.0-Strongroom",
		PublicKeyCallback: func(meta ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if meta.User() != BastionUser {
				return nil, errors.New("unknown user")
			}
			t, err := b.cfg.Tunnels.Authorize(ctx, meta.User(), key, remote)
			if err != nil {
				return nil, err
			}
			return &ssh.Permissions{ExtraData: map[any]any{tunnelKey{}: t}}, nil
		},
	}
	cfg.AddHostKey(b.cfg.HostKey)
	return cfg
}

func (b *Bastion) open(ctx context.Context, t Tunnel) error {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.Handshake)
	defer cancel()
	return t.Open(ctx)
}

func (b *Bastion) finish(t Tunnel, end TunnelEnding, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), b.cfg.Finish)
	defer cancel()
	if err := t.Close(ctx, end); err != nil {
		log.Error("the end of the tunnel was not recorded", "error", err)
	}
}

// forwarder carries the channels of one connection.
type forwarder struct {
	cfg    BastionConfig
	tunnel Tunnel
	log    *slog.Logger

	open     atomic.Int32 // channels that are open
	channels atomic.Int32 // channels that ever reached the destination
	in, out  atomic.Int64
	activity *time.Timer
}

// run returns why the tunnel ended; all its channels are closed then.
func (f *forwarder) run(ctx context.Context, client ssh.Conn, channels <-chan ssh.NewChannel, requests <-chan *ssh.Request) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f.activity = time.AfterFunc(f.cfg.Idle, func() { cancel(errIdle) })
	defer f.activity.Stop()
	age := time.AfterFunc(f.cfg.MaxAge, func() { cancel(errExpired) })
	defer age.Stop()

	var running sync.WaitGroup
	running.Go(func() { ssh.DiscardRequests(requests) }) // forwarding back is one of these: refused
	running.Go(func() {
		for c := range channels {
			f.accept(ctx, c, &running)
		}
		cancel(errDisconnect)
	})
	select {
	case <-ctx.Done():
	case <-f.tunnel.Done:
		cancel(errWithdrawn)
	}
	client.Close()
	running.Wait()
	return context.Cause(ctx)
}

// destination is the extra data of a direct-tcpip channel (RFC 4254, 7.2).
type destination struct {
	Host       string
	Port       uint32
	OriginHost string
	OriginPort uint32
}

// accept starts a channel to the tunnel's destination, and refuses any other.
func (f *forwarder) accept(ctx context.Context, c ssh.NewChannel, running *sync.WaitGroup) {
	var dst destination
	switch {
	case c.ChannelType() != "direct-tcpip":
		c.Reject(ssh.UnknownChannelType, "only forwarding to the database is possible here")
	case ssh.Unmarshal(c.ExtraData(), &dst) != nil || !f.allowed(dst):
		f.log.Warn("a destination was refused", "host", dst.Host, "port", dst.Port)
		c.Reject(ssh.Prohibited, "this key is for another destination")
	case int(f.open.Add(1)) > f.cfg.Channels:
		f.open.Add(-1)
		c.Reject(ssh.ResourceShortage, "too many connections at once")
	default:
		running.Go(func() {
			defer f.open.Add(-1)
			f.forward(ctx, c)
		})
	}
}

func (f *forwarder) allowed(dst destination) bool {
	return dst.Port == uint32(f.tunnel.Port) && strings.EqualFold(strings.TrimSuffix(dst.Host, "."), f.tunnel.Host)
}

// forward joins a channel and a connection to the destination until both
// directions have ended.
func (f *forwarder) forward(ctx context.Context, c ssh.NewChannel) {
	dialCtx, cancel := context.WithTimeout(ctx, f.cfg.Dial)
	defer cancel()
	server, err := f.tunnel.Dial(dialCtx)
	if err != nil {
		f.log.Warn("the destination was not reached", "error", err)
		f.hangUp(c)
		return
	}
	defer server.Close()
	channel, requests, err := c.Accept()
	if err != nil {
		return
	}
	defer channel.Close()
	f.channels.Add(1)
	go func() {
		ssh.DiscardRequests(requests) // ends when the client has closed the channel
		server.Close()
	}()
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	var both sync.WaitGroup
	both.Go(func() {
		io.Copy(counting{server, &f.in, f.touch}, channel)
		closeWrite(server)
	})
	both.Go(func() {
		io.Copy(counting{&parting{Writer: channel}, &f.out, f.touch}, server)
		channel.CloseWrite()
		// A destination that has closed takes no more either: without this a client
		// that never closes would hold the channel.
		channel.Close()
	})
	both.Wait()
}

// hangUp answers for a destination that does not: it takes the channel and ends
// it. Of a channel that is refused the heroku CLI does not tell psql, which then
// waits for good.
func (f *forwarder) hangUp(c ssh.NewChannel) {
	channel, requests, err := c.Accept()
	if err != nil {
		return
	}
	channel.Close()
	ssh.DiscardRequests(requests)
}

func (f *forwarder) touch() { f.activity.Reset(f.cfg.Idle) }

// parting holds a goodbye back until something follows it, which is never. By
// the time that PostgreSQL ends TLS in words psql has left, and the heroku CLI,
// which carries the words to nobody, dies of them. That the stream ends is passed
// on all the same.
type parting struct {
	io.Writer
	held []byte
}

func (w *parting) Write(p []byte) (int, error) {
	if w.held != nil {
		if _, err := w.Writer.Write(w.held); err != nil {
			return 0, err
		}
		w.held = nil
	}
	if goodbye(p) {
		w.held = bytes.Clone(p)
		return len(p), nil
	}
	return w.Writer.Write(p)
}

// goodbye tells whether p is an encrypted TLS alert and nothing else: by its type
// in TLS 1.2; in TLS 1.3, where all is of the type application data, by its length,
// two bytes with their type and tag. No message of PostgreSQL is so short.
// (RFC 5246, 6.2; RFC 8446, 5.2)
func goodbye(p []byte) bool {
	const header, applicationData, alert, plain, sealed = 5, 23, 21, 2, 2 + 1 + 16
	if len(p) < header || len(p) != header+int(p[3])<<8+int(p[4]) {
		return false
	}
	return p[0] == alert && len(p) > header+plain || p[0] == applicationData && len(p) == header+sealed
}

// closeWrite passes an end of stream on, where that can be done.
func closeWrite(c io.Closer) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
}

// counting counts what is written.
type counting struct {
	io.Writer
	n     *atomic.Int64
	touch func()
}

func (c counting) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.n.Add(int64(n))
	c.touch()
	return n, err
}
