package api

import (
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/sessions"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/query"
	"github.com/strongroom/strongroom/internal/view"
)

var formationProperties = []property[view.Formation]{
	{name: "type", text: func(f view.Formation) string { return f.Type }},
	{name: "id", text: func(f view.Formation) string { return f.ID }},
}

func listFormations(c *call) (Answer, error) {
	a, err := show(c, c.app)
	if err != nil {
		return Answer{}, err
	}
	return listed(c, func(q *query.Reader) ([]*document.Formation, error) { return q.Formations(a) },
		func(_ *query.Reader, f *document.Formation) (view.Formation, error) {
			return view.OfFormation(f, a.App), nil
		}, formationProperties...)
}

func getFormation(c *call) (Answer, error) {
	return ok(show(c, func(q *query.Reader) (view.Formation, error) {
		a, err := c.app(q)
		if err != nil {
			return view.Formation{}, err
		}
		f, err := q.Formation(a, c.path("formation"))
		if err != nil {
			return view.Formation{}, err
		}
		return view.OfFormation(f, a.App), nil
	}))
}

// scaleInput is one process type of a PATCH. Heroku takes a size by name or by
// {"name": …}.
type scaleInput struct {
	Type     string `json:"type"`
	Quantity number `json:"quantity"`
	Size     ref    `json:"size"`
	DynoSize ref    `json:"dyno_size"`
}

func (s scaleInput) update() apps.ScaleUpdate {
	u := apps.ScaleUpdate{Type: s.Type, Size: sizeName(string(s.Size))}
	if s.DynoSize != "" {
		u.Size = sizeName(string(s.DynoSize))
	}
	if s.Quantity.Set {
		u.Quantity = &s.Quantity.Value
	}
	return u
}

// sizeName resolves the id of a dyno size.
func sizeName(identity string) string {
	for _, s := range document.Sizes {
		if identity == view.BuiltIn("dyno-size", s.Name) {
			return s.Name
		}
	}
	return identity
}

// maxUpdates bounds one PATCH.
const maxUpdates = 50

func scaleAll(c *call) (Answer, error) {
	var in struct {
		Updates []scaleInput `json:"updates"`
	}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	if len(in.Updates) == 0 || len(in.Updates) > maxUpdates {
		return Answer{}, fault.New(fault.Invalid, "updates holds between 1 and %d process types.", maxUpdates)
	}
	cmd := &apps.Scale{Identity: c.path("app")}
	for _, u := range in.Updates {
		cmd.Updates = append(cmd.Updates, u.update())
	}
	shown, err := c.scale(cmd)
	return ok(shown, err)
}

func (c *call) scale(cmd *apps.Scale) ([]view.Formation, error) {
	if err := c.execute(cmd); err != nil {
		return nil, err
	}
	a, err := show(c, c.visibleApp)
	out := []view.Formation{}
	if err != nil {
		return out, err
	}
	for _, f := range cmd.Formations {
		out = append(out, view.OfFormation(f, a.App))
	}
	return out, nil
}

func scaleOne(c *call) (Answer, error) {
	var in scaleInput
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	f, err := show(c, func(q *query.Reader) (*document.Formation, error) {
		a, err := c.visibleApp(q)
		if err != nil {
			return nil, err
		}
		return q.Formation(a, c.path("formation"))
	})
	if err != nil {
		return Answer{}, err
	}
	in.Type = f.Type
	list, err := c.scale(&apps.Scale{Identity: c.path("app"), Updates: []apps.ScaleUpdate{in.update()}})
	if err != nil {
		return Answer{}, err
	}
	return ok(list[0], nil)
}

func listSizes(*call) (Answer, error) {
	out := []view.DynoSize{}
	for _, s := range document.Sizes {
		out = append(out, presentSize(s))
	}
	return ok(out, nil)
}

func presentSize(s document.Size) view.DynoSize {
	return view.OfSize(view.Size{Name: s.Name, Memory: s.MemoryBytes, Compute: int(s.CPUMillis / 1000)}, runtime.GOARCH)
}

func getSize(c *call) (Answer, error) {
	name := sizeName(c.path("size"))
	for _, s := range document.Sizes {
		if strings.EqualFold(s.Name, name) {
			return ok(presentSize(s), nil)
		}
	}
	return Answer{}, fault.New(fault.NotFound, "Couldn't find that dyno size.")
}

func listDynos(c *call) (Answer, error) {
	a, err := show(c, c.app)
	if err != nil {
		return Answer{}, err
	}
	return listed(c, func(q *query.Reader) ([]query.Dyno, error) { return q.Dynos(a) },
		func(_ *query.Reader, d query.Dyno) (view.Dyno, error) {
			return view.OfDyno(d.Dyno, a.App, d.Release, ""), nil
		},
		property[view.Dyno]{name: "name", text: func(d view.Dyno) string { return d.Name }},
		property[view.Dyno]{name: "id", text: func(d view.Dyno) string { return d.ID }})
}

func getDyno(c *call) (Answer, error) {
	return ok(show(c, func(q *query.Reader) (view.Dyno, error) {
		a, err := c.app(q)
		if err != nil {
			return view.Dyno{}, err
		}
		d, err := q.Dyno(a, c.path("dyno"))
		if err != nil {
			return view.Dyno{}, err
		}
		return view.OfDyno(d.Dyno, a.App, d.Release, ""), nil
	}))
}

func restartAll(c *call) (Answer, error) {
	return nothing(http.StatusAccepted), c.execute(&apps.Restart{Identity: c.path("app")})
}

func restartType(c *call) (Answer, error) {
	return nothing(http.StatusAccepted), c.execute(&apps.Restart{Identity: c.path("app"), Type: c.path("type")})
}

func stopType(c *call) (Answer, error) {
	return nothing(http.StatusAccepted), c.execute(&apps.Restart{Identity: c.path("app"), Type: c.path("type"), Stop: true})
}

func restartDyno(c *call) (Answer, error) {
	return nothing(http.StatusAccepted), c.stopDyno(false)
}

func stopDyno(c *call) (Answer, error) {
	return nothing(http.StatusAccepted), c.stopDyno(true)
}

// stopDyno resolves the path's dyno, which may be given by id or, as ps:restart
// does, by type alone.
func (c *call) stopDyno(stop bool) error {
	cmd := &apps.Restart{Identity: c.path("app"), Dyno: c.path("dyno"), Stop: stop}
	d, err := show(c, func(q *query.Reader) (query.Dyno, error) {
		a, err := c.visibleApp(q)
		if err != nil {
			return query.Dyno{}, err
		}
		return q.Dyno(a, c.path("dyno"))
	})
	switch {
	case err == nil:
		cmd.Dyno = d.Name
	case fault.Of(err) != fault.NotFound:
		return err
	}
	return c.execute(cmd)
}

// Bounds of a one-off dyno's command line and environment.
const (
	maxCommand = 64 << 10
	maxEnv     = 100
)

type runInput struct {
	Command    string          `json:"command"`
	Attach     bool            `json:"attach"`
	Env        map[string]text `json:"env"`
	ForceNoTTY bool            `json:"force_no_tty"`
	Size       ref             `json:"size"`
	Type       string          `json:"type"`
}

func (in *runInput) check() error {
	if in.Command == "" || len(in.Command) > maxCommand || strings.ContainsRune(in.Command, 0) {
		return fault.New(fault.Invalid, "command must have between 1 and %d bytes and no NUL.", maxCommand)
	}
	if len(in.Env) > maxEnv {
		return fault.New(fault.Invalid, "env has at most %d variables.", maxEnv)
	}
	for name, value := range in.Env {
		if err := document.CheckConfigName(name); err != nil {
			return err
		}
		if len(value) > document.MaxConfigValue || strings.ContainsRune(string(value), 0) {
			return fault.New(fault.Invalid, "The value of %s is longer than %d bytes or holds a NUL.", name, document.MaxConfigValue)
		}
	}
	return nil
}

// env is sorted by name.
func (in *runInput) env() []document.NameValue {
	out := make([]document.NameValue, 0, len(in.Env))
	for name, value := range in.Env {
		out = append(out, document.NameValue{Name: name, Value: string(value)})
	}
	slices.SortFunc(out, func(a, b document.NameValue) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// size of the client's terminal, as it says in its environment.
func (in *runInput) terminal() (rows, cols int) {
	clamp := func(s text, otherwise int) int {
		n, err := strconv.Atoi(string(s))
		if err != nil || n < 1 || n > 1000 {
			return otherwise
		}
		return n
	}
	return clamp(in.Env["LINES"], 24), clamp(in.Env["COLUMNS"], 80)
}

// runDyno makes a one-off dyno. Its command line may hold health information,
// so it goes to the blob store, encrypted, and only its digest to the ledger.
func runDyno(c *call) (Answer, error) {
	var in runInput
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	if err := in.check(); err != nil {
		return Answer{}, err
	}
	if c.cfg.Blobs == nil || in.Attach && c.cfg.Terminals == nil {
		return Answer{}, missing("Running one-off dynos")
	}
	// Nothing is stored for somebody who may not run anything.
	a, err := show(c, c.app)
	if err != nil {
		return Answer{}, err
	}
	blob, err := c.cfg.Blobs.Put(c.ctx, &a.App.Space, strings.NewReader(in.Command), maxCommand)
	if err != nil {
		return Answer{}, err
	}
	cmd := &sessions.Run{
		App: a.ID, Attached: in.Attach, Size: sizeName(string(in.Size)), Type: in.Type,
		Command: ledger.Blob{SHA256: blob.SHA256, Size: blob.Size, MediaType: plainText, Role: "command"},
	}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	attach := ""
	if in.Attach {
		if attach, err = c.offer(a, cmd, &in); err != nil {
			return Answer{}, err
		}
	}
	shown := view.OfDyno(cmd.Dyno, a.App, cmd.Release, attach)
	shown.Command = in.Command
	return created(shown, nil)
}

func (c *call) offer(a query.App, cmd *sessions.Run, in *runInput) (string, error) {
	t := Terminal{
		App: a.App, Dyno: cmd.Dyno, Release: cmd.Release, Command: in.Command, Env: in.env(), TTY: !in.ForceNoTTY,
	}
	t.Rows, t.Cols = in.terminal()
	return c.cfg.Terminals.Offer(c.ctx, c.by, t)
}

// maxLogLines is Heroku's bound, and what it keeps.
const maxLogLines = 1500

func createLogSession(c *call) (Answer, error) {
	var in struct {
		Lines  number `json:"lines"`
		Tail   bool   `json:"tail"`
		Source string `json:"source"`
		Dyno   string `json:"dyno"`
		Type   string `json:"type"`
	}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	lines := 100
	if in.Lines.Set {
		lines = in.Lines.Value
	}
	if lines < 0 || lines > maxLogLines {
		return Answer{}, fault.New(fault.Invalid, "lines is between 0 and %d.", maxLogLines)
	}
	if len(in.Source) > 64 || len(in.Dyno) > 128 || !printable(in.Source+in.Dyno) {
		return Answer{}, fault.New(fault.Invalid, "source and dyno are names, such as app and web.1.")
	}
	if c.cfg.Logs == nil {
		return Answer{}, missing("The log")
	}
	cmd := &sessions.ReadLogs{App: c.path("app"), Tail: in.Tail}
	if err := c.execute(cmd); err != nil {
		return Answer{}, err
	}
	if in.Dyno == "" {
		in.Dyno = in.Type
	}
	url, err := c.cfg.Logs.Open(c.ctx, c.by, LogQuery{App: cmd.Target, Lines: lines, Tail: in.Tail, Source: in.Source, Dyno: in.Dyno})
	if err != nil {
		return Answer{}, err
	}
	now := view.Time(c.cfg.Now())
	return created(view.LogSession{CreatedAt: now, ID: uuid.NewString(), LogplexURL: url, UpdatedAt: now}, nil)
}
