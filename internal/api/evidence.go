package api

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/strongroom/strongroom/internal/command/sessions"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/query"
	"github.com/strongroom/strongroom/internal/recording"
	"github.com/strongroom/strongroom/internal/view"
)

// playSession hands out a recording as asciicast, and that is on record.
func playSession(c *call) (Answer, error) {
	s, err := show(c, c.pathSession)
	if err != nil {
		return Answer{}, err
	}
	if c.cfg.Blobs == nil {
		return Answer{}, missing("Recordings")
	}
	cmd := &sessions.Play{ID: s.ID}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	rc, err := c.cfg.Blobs.Get(c.ctx, &cmd.Session.Space, cmd.Session.Recording)
	return Answer{Stream: rc, ContentType: recording.MediaType}, err
}

func listPacks(c *call) (Answer, error) {
	return listed(c, func(q *query.Reader) ([]*document.Pack, error) {
		s, err := c.space(q)
		if err != nil {
			return nil, err
		}
		return q.Packs(s)
	}, func(_ *query.Reader, p *document.Pack) (view.Pack, error) { return view.OfPack(p), nil },
		property[view.Pack]{name: "id", text: func(p view.Pack) string { return p.ID }})
}

// maxCheckpoint bounds a checkpoint that a client gives; one with many
// cosignatures has a few KiB.
const maxCheckpoint = 64 << 10

// maxAsked bounds how many items a client names; frameworks have some hundred.
const maxAsked = 1000

// exportEvidence answers with a pack as it is written. An error after its first
// byte can only break the connection off: half a pack does not verify.
func exportEvidence(c *call) (Answer, error) {
	var in struct {
		Space      ref      `json:"space"`
		From       string   `json:"from"`
		To         string   `json:"to"`
		Recordings bool     `json:"recordings"`
		Destroyed  bool     `json:"destroyed"`
		Since      string   `json:"since"`
		Items      []string `json:"items"`
		Notice     string   `json:"notice"`
	}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	if len(in.Since) > maxCheckpoint {
		return Answer{}, fault.New(fault.TooLarge, "since is a signed checkpoint, of at most %d bytes.", maxCheckpoint)
	}
	if len(in.Items) > maxAsked {
		return Answer{}, fault.New(fault.TooLarge, "items are at most %d.", maxAsked)
	}
	x := Export{Space: string(in.Space), Ended: in.Destroyed, Recordings: in.Recordings, Since: []byte(in.Since), Items: in.Items}
	var err1, err2, err3 error
	x.From, err1 = moment(in.From)
	x.To, err2 = moment(in.To)
	x.Notice, err3 = moment(in.Notice)
	if err := errors.Join(err1, err2, err3); err != nil || x.From.IsZero() {
		return Answer{}, fault.New(fault.Invalid, "from, to and notice are times such as 2026-01-31T00:00:00Z; from is needed.")
	}
	if c.cfg.Evidence == nil {
		return Answer{}, missing("Evidence export")
	}
	if x.Ended {
		return c.export(x) // the command finds out who may, from the team that had it
	}
	// Nobody is told about a space that they do not see.
	if _, err := show(c, func(q *query.Reader) (query.Space, error) { return q.Space(x.Space, c.route.Need) }); err != nil {
		return Answer{}, err
	}
	return c.export(x)
}

// stall is how long a client may take no byte of a pack. There is room for few
// exports at a time: one that nobody reads must not keep the others waiting.
const stall = 2 * time.Minute

// patient lets an answer last longer than one usually may, as long as the
// client goes on reading.
type patient struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (w *patient) Write(p []byte) (int, error) {
	_ = w.control.SetWriteDeadline(time.Now().Add(stall))
	return w.ResponseWriter.Write(p)
}

func (c *call) export(x Export) (Answer, error) {
	begun := false
	err := c.cfg.Evidence.Export(c.ctx, c.by, x, func(name string) io.Writer {
		begun = true
		c.w.Header().Set("Content-Type", "application/zip")
		c.w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
		c.w.WriteHeader(http.StatusOK)
		return &patient{c.w, http.NewResponseController(c.w)}
	})
	if err != nil && begun {
		c.abort(err)
	}
	return Answer{Written: begun}, err
}
