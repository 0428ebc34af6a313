package gateway

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/recording"
)

// handle serves one rendezvous connection, from its handshake to its end.
func (r *Rendezvous) handle(ctx context.Context, conn net.Conn, remote netip.Addr, leave func()) {
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	conn.SetDeadline(time.Now().Add(r.cfg.Greeting))
	client := tls.Server(conn, r.cfg.TLS)
	in := newGreetingReader(client)
	secret, err := readGreeting(in)
	received := time.Now()
	stop()
	if err != nil {
		r.refuse(ctx, received, remote, err, err == errGreeting)
		return
	}
	conn.SetDeadline(time.Time{})
	a, err := r.redeem(ctx, secret, remote)
	switch fault.Of(err) {
	case fault.Unavailable, fault.Conflict:
		r.apologise(ctx, client, err)
	case "":
		if err != nil {
			r.apologise(ctx, client, err)
			return
		}
		r.sources.opened()
		leave()
		r.attach(ctx, client, in, a)
	default:
		r.refuse(ctx, received, remote, err, true)
	}
}

func (r *Rendezvous) redeem(ctx context.Context, secret string, remote netip.Addr) (Attachment, error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Start)
	defer cancel()
	return r.cfg.Sessions.Redeem(ctx, secret, remote)
}

// refuse lets the same time pass whatever was wrong with the first line. The
// connection is closed after it, without a word.
func (r *Rendezvous) refuse(ctx context.Context, received time.Time, remote netip.Addr, err error, guess bool) {
	r.sources.refused(remote, guess)
	r.cfg.Log.Info("rendezvous refused", "remote", remote, "error", err)
	sleep(ctx, r.cfg.Refusal-time.Since(received))
}

// apologise tells a client whose secret was good that its process did not start.
func (r *Rendezvous) apologise(ctx context.Context, client *tls.Conn, err error) {
	r.cfg.Log.Error("a session was not started", "error", err)
	text := fault.Message(err)
	if text == "" {
		text = "The process could not be started."
	}
	client.SetDeadline(time.Now().Add(r.cfg.Greeting))
	if _, err := client.Write([]byte(greeting)); err != nil {
		return
	}
	sleep(ctx, r.cfg.Pause)
	fmt.Fprintf(client, "\r\n !    %s\r\n", text)
	hangUp(client)
}

// attach runs an opened session and closes it.
func (r *Rendezvous) attach(ctx context.Context, client *tls.Conn, in io.Reader, a Attachment) {
	log := r.cfg.Log.With("session", a.ID)
	if a.Recording == nil {
		log.Error("a session without a recording was refused")
		a.Session.Close()
		r.finish(a, Ending{Reason: EndedRecording}, log)
		return
	}
	b := &bridge{
		client: client, in: in, process: a.Session, record: a.Recording,
		tty: a.TTY, idle: r.cfg.Idle, pause: r.cfg.Pause, done: a.Done,
	}
	cause := error(errDisconnect)
	client.SetWriteDeadline(time.Now().Add(r.cfg.Greeting))
	if _, err := client.Write([]byte(greeting)); err == nil {
		cause = b.run(ctx)
	}
	if cause != errProcessEnded {
		a.Session.Close()
	}
	log.Info("session ended", "reason", reason(cause), "cause", cause)
	r.finish(a, Ending{Reason: reason(cause), In: b.bytesIn.Load(), Out: b.out.Load()}, log)
	hangUp(client)
}

// finish waits for the process, seals the recording and has the session's end
// recorded. It goes on while the server stops.
func (r *Rendezvous) finish(a Attachment, end Ending, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), r.cfg.Finish)
	defer cancel()
	end.Exit = r.wait(ctx, a.Session, log)
	if a.Recording != nil {
		end.Recording = r.seal(ctx, a.Recording, end, log)
	}
	if err := a.Close(ctx, end); err != nil {
		log.Error("the end of the session was not recorded; its recording is kept", "error", err)
		return
	}
	if end.Recording == nil {
		return
	}
	if err := a.Recording.Remove(); err != nil {
		log.Error("the working file of the recording was not removed", "error", err)
	}
}

// wait returns how the process ended. One that has closed its output may still be
// about to end by itself, so it is ended only after a while. The greater part of
// ctx is left for what is to be done afterwards.
func (r *Rendezvous) wait(ctx context.Context, session Session, log *slog.Logger) *driver.Exit {
	defer session.Close()
	for range 2 {
		exit, err := r.waitFor(ctx, session, r.cfg.Finish/6)
		if err == nil {
			return &exit
		}
		log.Warn("the session's process has not ended yet", "error", err)
		session.Close()
	}
	return nil
}

func (r *Rendezvous) waitFor(ctx context.Context, session Session, d time.Duration) (driver.Exit, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return session.Wait(ctx)
}

func (r *Rendezvous) seal(ctx context.Context, rec *recording.Recording, end Ending, log *slog.Logger) *recording.Sealed {
	e := recording.End{Reason: end.Reason}
	if end.Exit != nil {
		e.Exit = &end.Exit.Code
	}
	sealed, err := rec.Seal(ctx, e)
	if err != nil {
		log.Error("the recording was not sealed; it is kept", "error", err)
		return nil
	}
	return &sealed
}

// hangUpTime is how long a client may take to read the end.
const hangUpTime = 2 * time.Second

// hangUp ends the connection so that the client reads all that was sent: closing
// while there is something of the client's unread would reset the connection and
// destroy what is still on its way.
func hangUp(client *tls.Conn) {
	client.SetDeadline(time.Now().Add(hangUpTime))
	if client.CloseWrite() == nil {
		io.Copy(io.Discard, client)
	}
	client.Close()
}
