package logs

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
)

const (
	// startTime is how long a token may wait to be used, at first and after
	// each stream.
	startTime = 5 * time.Minute
	// lifetime is when a session ends in any case.
	lifetime = time.Hour
	// maxSessions bounds the sessions of the installation, maxPerOwner of one owner.
	maxSessions = 10_000
	maxPerOwner = 100
	// maxStreams of one token at a time: a client may reconnect before its
	// former connection was seen to end.
	maxStreams = 4
	// maxLines is the most of the past that a session gives, as with Heroku.
	maxLines = 1500
)

// Session says what may be read.
type Session struct {
	Space  string
	App    string
	Lines  int    // of the past, at most 1500; Heroku gives 100 to who does not say
	Tail   bool   // go on with what comes
	Dyno   string // "web" or "web.1"; "" = any
	Source string // "app" or "heroku"; "" = any
	Owner  string // the account that asked for it
}

// query is the session as the engine understands it. after is the id of the
// last line that the client has, "" for none.
func (s Session) query(after string) driver.LogQuery {
	return driver.LogQuery{
		Space: s.Space, App: s.App, Lines: s.Lines, Follow: s.Tail,
		Source: s.Source, Dyno: s.Dyno, After: after,
	}
}

// Sessions is the log sessions that are open. It is safe for concurrent use.
type Sessions struct {
	mu     sync.Mutex
	open   map[string]*session // by token
	owners map[string]int      // open sessions of each owner
}

// session is an open one; Sessions.mu guards it.
type session struct {
	Session
	ends    time.Time // in any case
	expires time.Time // unless a stream is running
	streams map[*stream]struct{}
}

// stream is one running answer.
type stream struct {
	cancel context.CancelFunc
}

// NewSessions returns an empty set.
func NewSessions() *Sessions {
	return &Sessions{open: map[string]*session{}, owners: map[string]int{}}
}

// Create opens a session and returns its token, which is a secret and safe in a
// URL's path. It fails with Invalid or, when too many are open, with TooMany.
func (s *Sessions) Create(what Session) (token string, err error) {
	if what.App == "" || what.Lines < 0 {
		return "", fault.New(fault.Invalid, "a log session needs an app and a number of lines that is not negative")
	}
	what.Lines = min(what.Lines, maxLines)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.admit(what.Owner); err != nil {
		return "", err
	}
	now := time.Now()
	token = rand.Text()
	s.owners[what.Owner]++
	s.open[token] = &session{
		Session: what, ends: now.Add(lifetime), expires: now.Add(startTime), streams: map[*stream]struct{}{},
	}
	return token, nil
}

// admit says whether the owner may have another session, removing those that
// are over if there seem to be too many; s.mu is held.
func (s *Sessions) admit(owner string) error {
	if s.room(owner) {
		return nil
	}
	now := time.Now()
	for token, open := range s.open {
		if open.over(now) {
			s.remove(token)
		}
	}
	if s.room(owner) {
		return nil
	}
	return fault.New(fault.TooMany, "too many log sessions are open; close some and try again in %v", startTime)
}

func (s *Sessions) room(owner string) bool {
	return len(s.open) < maxSessions && s.owners[owner] < maxPerOwner
}

// remove forgets a session that is open; s.mu is held.
func (s *Sessions) remove(token string) {
	owner := s.open[token].Owner
	if s.owners[owner]--; s.owners[owner] == 0 {
		delete(s.owners, owner)
	}
	delete(s.open, token)
}

func (s *session) over(now time.Time) bool {
	return !now.Before(s.ends) || len(s.streams) == 0 && !now.Before(s.expires)
}

// Open lists the sessions that are open.
func (s *Sessions) Open() []Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Session, 0, len(s.open))
	for _, open := range s.open {
		list = append(list, open.Session)
	}
	return list
}

// End ends the sessions that match, with their running streams: an account has
// lost its access, an app is gone.
func (s *Sessions) End(match func(Session) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for token, open := range s.open {
		if !match(open.Session) {
			continue
		}
		for st := range open.streams {
			st.cancel()
		}
		s.remove(token)
	}
}

// begin starts a stream of the session: the context given back ends with it.
// done is to be called when the stream has ended. An unknown token is NotFound.
func (s *Sessions) begin(ctx context.Context, token string) (_ context.Context, what Session, done func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	open := s.open[token]
	if open != nil && open.over(time.Now()) {
		s.remove(token)
		open = nil
	}
	if open == nil {
		return nil, what, nil, fault.New(fault.NotFound, "this log session is over; make another")
	}
	if len(open.streams) >= maxStreams {
		return nil, what, nil, fault.New(fault.TooMany, "this log session is being read already")
	}
	ctx, cancel := context.WithDeadline(ctx, open.ends)
	st := &stream{cancel: cancel}
	open.streams[st] = struct{}{}
	done = func() {
		cancel()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(open.streams, st)
		open.expires = time.Now().Add(startTime)
	}
	return ctx, open.Session, done, nil
}
