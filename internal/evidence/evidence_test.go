package evidence_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/config"
	"github.com/strongroom/strongroom/internal/command/people"
	"github.com/strongroom/strongroom/internal/command/releases"
	"github.com/strongroom/strongroom/internal/command/sessions"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/command/teams"
	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/compliance/builtin"
	"github.com/strongroom/strongroom/internal/compliance/state"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/evidence"
	"github.com/strongroom/strongroom/internal/evidence/reader"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/pack"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
)

// lab is the world with an exporter over it.
type lab struct {
	*commandtest.World
	config   evidence.Config
	exporter *evidence.Exporter
	signing  *control.Checkpoints
	vkey     string
	waiting  string // where reports wait for their pack

	programme *compliance.Programme
	told      int // how often the exporter wanted the checks on record
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{World: commandtest.New(t, commandtest.Noon), waiting: filepath.Join(t.TempDir(), "packs")}
	in := *commandtest.Get[*document.Installation](l.World, l.IDs["installation"])
	origin := ledger.Origin(in.ID, 1)
	skey, vkey, err := ledger.GenerateKey(rand.Reader, origin)
	if err != nil {
		t.Fatal(err)
	}
	l.vkey, in.LogKey = vkey, vkey
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ledger.NewSigner(ledger.SignerConfig{
		Origin: origin, Anchor: ledger.NewFileAnchor(filepath.Join(t.TempDir(), "anchor")), Signers: []note.Signer{signer}, Keys: []note.Verifier{verifier},
	})
	if err != nil {
		t.Fatal(err)
	}
	l.signing = &control.Checkpoints{Store: l.Store, Signer: s, Log: slog.New(slog.DiscardHandler)}
	if l.programme, err = builtin.Programme(builtin.Reach{}); err != nil {
		t.Fatal(err)
	}
	l.config = evidence.Config{
		Programme: l.programme,
		Store:     l.Store, Kernel: l.Kernel, Checkpoints: l.signing, Blobs: l.Blobs, Signer: signer, Installation: &in, Program: "strongroom test", Now: l.Now, Temp: l.waiting,
		Tell: func(context.Context) error { l.told++; return nil },
	}
	l.exporter = l.exporterOf(l.Store)
	return l
}

// exporterOf makes an exporter of what another store says.
func (l *lab) exporterOf(s store.Store) *evidence.Exporter {
	c := l.config
	c.Store = s
	return evidence.New(c)
}

// engine runs the checks of the state. There is no host here to look at, and
// nothing that attempts could be made at.
func (l *lab) engine() *compliance.Engine {
	looking := &compliance.Programme{Catalogue: l.programme.Catalogue, Checks: state.All()}
	return compliance.New(compliance.Config{Store: l.Store, Kernel: l.Kernel, Programme: looking, Log: slog.New(slog.DiscardHandler), Now: l.Now})
}

// at is a time after noon.
func at(d time.Duration) time.Time { return commandtest.Noon.Add(d) }

// export makes a pack as the auditor.
func (l *lab) export(q evidence.Request) []byte {
	l.T.Helper()
	if q.Space == "" {
		q.Space = "ward"
	}
	var buf bytes.Buffer
	name := ""
	err := l.exporter.Export(l.T.Context(), l.As("auditor"), q, func(n string) io.Writer { name = n; return &buf })
	if err != nil {
		l.T.Fatal(err)
	}
	if want := fmt.Sprintf("evidence-ward-%s-%s.zip", q.From.Format("20060102"), q.To.Format("20060102")); name != want {
		l.T.Errorf("the file is named %q, want %q", name, want)
	}
	return buf.Bytes()
}

func archive(b []byte) pack.Archive {
	return pack.Archive{ReaderAt: bytes.NewReader(b), Size: int64(len(b))}
}

// verify checks a pack as an auditor does who has the key, and wants VERIFIED.
func (l *lab) verify(b []byte, opts pack.Options) *pack.Result {
	l.T.Helper()
	opts.Key = l.vkey
	r, err := pack.Verify(l.T.Context(), bytes.NewReader(b), int64(len(b)), opts)
	if err != nil {
		l.T.Fatalf("verify: %v", err)
	}
	if r.Verdict != pack.Verified {
		l.T.Fatalf("verdict %s: %+v", r.Verdict, r.Checks)
	}
	return r
}

// details are the sentences of a group of checks.
func details(r *pack.Result, group pack.Group) string {
	for _, c := range r.Checks {
		if c.Group == group {
			return strings.Join(c.Details, "; ")
		}
	}
	return ""
}

// members gives the files of a pack.
func members(t *testing.T, b []byte) map[string]string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		out[f.Name] = string(content)
	}
	return out
}

func rows(t *testing.T, files map[string]string, report string) [][]string {
	t.Helper()
	text, ok := files["reports/"+report+".csv"]
	if !ok {
		t.Fatalf("there is no report %s", report)
	}
	list, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// cell finds a column by its title.
func cell(t *testing.T, list [][]string, row int, title string) string {
	t.Helper()
	i := slices.Index(list[0], title)
	if i < 0 {
		t.Fatalf("no column %q in %v", title, list[0])
	}
	return list[row][i]
}

// TestPack exports a period with everything in it and checks it with the
// verifier's own code.
func TestPack(t *testing.T) {
	l := newLab(t)
	l.Set(at(2 * time.Hour))
	before := l.Size()
	b := l.export(evidence.Request{From: at(-time.Hour), To: at(time.Hour), Recordings: true})
	r := l.verify(b, pack.Options{})
	if r.Size != before+1 || r.Installation != l.IDs["installation"] {
		t.Errorf("%+v", r)
	}
	if got := details(r, pack.OpeningGroup); !strings.Contains(got, "proven from the log's first entry, 0 documents") {
		t.Errorf("opening state: %s", got)
	}
	if got := commandtest.Actions(l.Since(before)); !slices.Equal(got, []string{"evidence.export", "evidence.issue"}) {
		t.Errorf("recorded as %v", got)
	}
	p := commandtest.Find[*document.Pack](l.World, "scope", l.IDs["space:ward"])
	if len(p) != 1 || !strings.HasPrefix(p[0].Manifest, "sha256:") {
		t.Errorf("%+v", p)
	}

	files := members(t, b)
	live := rows(t, files, "deployments")
	if len(live) != 4 { // v1 before the build, v2, and v4 with the database
		t.Fatalf("deployments: %v", live)
	}
	if cell(t, live, 2, "commit") != strings.Repeat("1", 40) || cell(t, live, 2, "approved by") != "approver@example.org" || cell(t, live, 2, "pushed by") != "dev@example.org" {
		t.Errorf("deployment %v", live[2])
	}
	list := rows(t, files, "sessions")
	if len(list) != 4 {
		t.Fatalf("sessions: %v", list)
	}
	// What was opened and what was closed are told to be one session, of which app.
	for row, session := range map[int]string{1: "closed", 2: "open", 3: "closed"} {
		if cell(t, list, row, "session") != l.IDs["session:"+session] || cell(t, list, row, "app") != l.IDs["app:clinic"] {
			t.Errorf("session %v", list[row])
		}
	}
	grants := rows(t, files, "grants")
	if !slices.ContainsFunc(grants, func(row []string) bool { return slices.Contains(row, "approver@example.org") }) || len(grants) != 7 {
		t.Errorf("grants: %v", grants)
	}
	// The recording was asked for; the build log is never part of a pack.
	recording := commandtest.Get[*document.Session](l.World, l.IDs["session:closed"]).Recording
	if text := files["blobs/"+strings.TrimPrefix(recording, "sha256:")]; !strings.Contains(text, "hello") {
		t.Errorf("the recording: %q", text)
	}
	if got := details(r, pack.BlobsGroup); !strings.Contains(got, "1 blobs match") || !strings.Contains(got, "not part of the pack") {
		t.Errorf("blobs: %s", got)
	}

	// Without the key there is no VERIFIED, and with another one none at all.
	other, err := pack.Verify(t.Context(), bytes.NewReader(b), int64(len(b)), pack.Options{})
	if err != nil || other.Verdict != pack.Consistent {
		t.Errorf("without the key: %v, %v", other, err)
	}
	var refusal *pack.Refusal
	if _, err := pack.Verify(t.Context(), bytes.NewReader(b), int64(len(b)), pack.Options{Key: newLab(t).vkey}); !errors.As(err, &refusal) {
		t.Errorf("with another key: %v", err)
	}
}

func TestRecordingsStayWhereTheyAre(t *testing.T) {
	l := newLab(t)
	ward := l.IDs["space:ward"]
	ref, err := l.Blobs.Put(t.Context(), &ward, strings.NewReader("psql -c 'PHI-CANARY'"), 100)
	if err != nil {
		t.Fatal(err)
	}
	l.Do(&sessions.Run{App: "clinic", Command: ledger.Blob{SHA256: ref.SHA256, Size: ref.Size, MediaType: "text/plain", Role: "command"}}, l.As("dev"))
	l.Set(at(2 * time.Hour))
	b := l.export(evidence.Request{From: at(-time.Hour), To: at(time.Hour)})
	r := l.verify(b, pack.Options{})
	for name, content := range members(t, b) {
		if strings.HasPrefix(name, "blobs/") || strings.Contains(content, "PHI-CANARY") {
			t.Errorf("%s is in the pack", name)
		}
	}
	if got := details(r, pack.BlobsGroup); !strings.Contains(got, "3 blobs left out") && !strings.Contains(got, "not asked for") {
		t.Errorf("blobs: %s", got)
	}
}

// TestPeriodsFollow makes packs of three periods in a row: each proves that it
// begins as the one before ended, and that the log only grew.
func TestPeriodsFollow(t *testing.T) {
	l := newLab(t)
	l.Set(at(time.Hour))
	l.Do(&config.Set{App: "clinic", Values: map[string]*secret.Value{"SECOND": commandtest.Value("x")}}, l.As("dev")) // exactly at the boundary
	l.Set(at(90 * time.Minute))
	doomed := &apps.Create{Name: "doomed", Space: "ward", Domain: "apps.localhost"}
	l.Do(doomed, l.As("dev"))
	l.Set(at(2 * time.Hour))
	first := l.export(evidence.Request{From: at(-time.Hour), To: at(time.Hour)})
	one := l.verify(first, pack.Options{})
	_, since := l.signing.Newest()

	l.Set(at(3 * time.Hour))
	l.Do(&apps.Destroy{Identity: "doomed"}, l.As("owner"))
	l.Do(&releases.Approve{App: "clinic", Identity: "v3"}, l.As("approver"))
	l.Do(&teams.RevokeRole{Team: "care", Email: "viewer@example.org"}, l.As("owner"))
	l.Set(at(4 * time.Hour))
	again := &apps.Create{Name: "doomed", Space: "ward", Domain: "apps.localhost"} // another app of the name
	l.Do(again, l.As("dev"))
	l.Set(at(5 * time.Hour))
	second := l.export(evidence.Request{From: at(time.Hour), To: at(210 * time.Minute), Since: since})
	previous := archive(first)
	two := l.verify(second, pack.Options{Previous: &previous, Since: since})
	if got := details(two, pack.OpeningGroup); !strings.Contains(got, "equal to the closing state of the previous pack") {
		t.Errorf("opening state: %s", got)
	}
	if got := details(two, pack.HeadersGroup); !strings.Contains(got, fmt.Sprintf("extends the checkpoint over %d entries", one.Size)) {
		t.Errorf("headers: %s", got)
	}
	inFirst, inSecond := members(t, first), members(t, second)
	if strings.Contains(inFirst["reports/config-changes.csv"], "SECOND") || !strings.Contains(inSecond["reports/config-changes.csv"], "SECOND") {
		t.Error("what happened exactly at the boundary is not in the later period, or in both")
	}

	l.Set(at(6 * time.Hour))
	third := l.export(evidence.Request{From: at(210 * time.Minute), To: at(5 * time.Hour)})
	previous = archive(second)
	l.verify(third, pack.Options{Previous: &previous})
	// An empty period is one too.
	l.Set(at(8 * time.Hour))
	empty := l.export(evidence.Request{From: at(7 * time.Hour), To: at(7*time.Hour + time.Second)})
	l.verify(empty, pack.Options{})

	// The pack of another period is no previous one.
	previous = archive(first)
	var refusal *pack.Refusal
	if _, err := pack.Verify(t.Context(), bytes.NewReader(third), int64(len(third)), pack.Options{Key: l.vkey, Previous: &previous}); !errors.As(err, &refusal) || refusal.Check != pack.OpeningGroup {
		t.Errorf("with a gap between the periods: %v", err)
	}
	// A pack that was not asked to prove growth does not pretend to.
	if _, err := pack.Verify(t.Context(), bytes.NewReader(third), int64(len(third)), pack.Options{Key: l.vkey, Since: since}); !errors.As(err, &refusal) || refusal.Check != pack.HeadersGroup {
		t.Errorf("without a consistency proof: %v", err)
	}
	last := l.export(evidence.Request{From: at(7 * time.Hour), To: at(7*time.Hour + time.Second), Since: since})
	l.verify(last, pack.Options{Since: since})
}

// TestUntilNow: before a pack that reaches up to now it is put on record how far the
// checks ran; not for one of the past, and not for one that cannot be.
func TestUntilNow(t *testing.T) {
	l := newLab(t)
	l.Set(at(2 * time.Hour))
	for _, tt := range []struct {
		q    evidence.Request
		told int
		kind fault.Kind
	}{
		{evidence.Request{Space: "ward", From: at(-time.Hour), To: at(time.Hour)}, 0, ""},
		{evidence.Request{Space: "ward", From: at(3 * time.Hour)}, 0, fault.Invalid},
		{evidence.Request{Space: "ward", From: at(-time.Hour)}, 1, ""},
	} {
		l.told = 0
		err := l.exporter.Export(t.Context(), l.As("auditor"), tt.q, func(string) io.Writer { return io.Discard })
		if l.told != tt.told || tt.kind == "" && err != nil || tt.kind != "" && fault.Of(err) != tt.kind {
			t.Errorf("from %s to %s: told %d times, %v", tt.q.From, tt.q.To, l.told, err)
		}
	}
}

func TestSinceIsThisLogs(t *testing.T) {
	l, other := newLab(t), newLab(t)
	if _, _, err := other.signing.Sign(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, foreign := other.signing.Newest()
	l.Set(at(2 * time.Hour))
	before := l.Size()
	for _, since := range [][]byte{foreign, []byte("x")} {
		err := l.exporter.Export(t.Context(), l.As("auditor"), evidence.Request{Space: "ward", From: at(-time.Hour), To: at(time.Hour), Since: since}, func(string) io.Writer {
			t.Error("a pack was begun")
			return io.Discard
		})
		if fault.Of(err) != fault.Invalid {
			t.Errorf("%v, want invalid", err)
		}
	}
	if l.Size() != before {
		t.Error("it was recorded")
	}
}

// TestTampering alters a pack's bodies, as somebody would who has the zip only.
func TestTampering(t *testing.T) {
	l := newLab(t)
	l.Set(at(2 * time.Hour))
	b := l.export(evidence.Request{From: at(-time.Hour), To: at(time.Hour)})
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if f.Name == "ledger/bodies" {
			content = bytes.Replace(content, []byte("approver@example.org"), []byte("somebody@example.org"), 1)
		}
		o, err := w.Create(f.Name)
		if err != nil {
			t.Fatal(err)
		}
		o.Write(content) //nolint:errcheck // a buffer
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var refusal *pack.Refusal
	if _, err := pack.Verify(t.Context(), bytes.NewReader(out.Bytes()), int64(out.Len()), pack.Options{Key: l.vkey}); !errors.As(err, &refusal) {
		t.Errorf("%v, want a refusal", err)
	}
}

// TestNothingOfOthers has another team work in its own space meanwhile.
func TestNothingOfOthers(t *testing.T) {
	l := newLab(t)
	l.Do(&apps.Update{Identity: "other", Name: ptr("their-secret-project")}, l.As("stranger"))
	l.Do(&config.Set{App: "their-secret-project", Values: map[string]*secret.Value{"THEIR_VAR": commandtest.Value("x")}}, l.As("stranger"))
	l.Do(&spaces.SetTrusted{Identity: "attic", Rules: []document.TrustedIP{{Source: "203.0.113.0/24", Action: "allow"}}}, l.As("stranger"))
	l.Set(at(2 * time.Hour))
	b := l.export(evidence.Request{From: at(-time.Hour), To: at(time.Hour), Recordings: true})
	r := l.verify(b, pack.Options{})
	if got := details(r, pack.BodiesGroup); !regexp.MustCompile(`\d+ entries of other scopes`).MatchString(got) {
		t.Errorf("bodies: %s", got)
	}
	for name, content := range members(t, b) {
		for _, theirs := range []string{"their-secret-project", "THEIR_VAR", "203.0.113.0/24", `"attic"`, "rivals", l.IDs["app:other"]} {
			if strings.Contains(content, theirs) {
				t.Errorf("%s tells %q", name, theirs)
			}
		}
		if name != "ledger/headers" && strings.Contains(content, l.IDs["space:attic"]) {
			t.Errorf("%s names another space", name)
		}
	}
}

func ptr[T any](v T) *T { return &v }

// TestNoSecrets looks for every secret of the world in every member of a pack.
func TestNoSecrets(t *testing.T) {
	l := newLab(t)
	canaries := map[string]string{"a config var": "CANARY-config", "a password": "CANARY a long password"}
	l.Do(&config.Set{App: "clinic", Values: map[string]*secret.Value{"API_KEY": commandtest.Value(canaries["a config var"])}}, l.As("dev"))
	l.Account("secretive", canaries["a password"])
	l.Do(&people.Login{Email: "secretive@example.org", Password: *commandtest.Value(canaries["a password"])}, control.By{Actor: ledger.Actor{Kind: ledger.AnonymousActor}, Via: ledger.ViaAPI})
	for name, token := range l.Tokens {
		canaries["the token of "+name] = strings.TrimPrefix(token, people.TokenPrefix)
	}
	addon := commandtest.Get[*document.Addon](l.World, l.IDs["addon"])
	ward := commandtest.Get[*document.Space](l.World, l.IDs["space:ward"])
	for name, s := range map[string]document.Sealed{"a volume's key": *addon.VolumeKey, "the superuser's password": *addon.Admin, "a role's password": addon.Roles[0].Password, "the authority's key": *ward.CAKey} {
		v, err := l.Keyring.Open(t.Context(), s.ID, s.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		canaries[name] = string(v.Reveal())
		sealed, err := l.Store.Sealed(t.Context(), s.ID)
		if err != nil {
			t.Fatal(err)
		}
		canaries[name+", sealed"] = string(sealed.Ciphertext)
	}
	wrapped, err := l.Store.WrappedKey(t.Context(), ward.ID)
	if err != nil {
		t.Fatal(err)
	}
	canaries["the space's wrapped key"] = string(wrapped.Wrapped)
	l.Set(at(2 * time.Hour))
	b := l.export(evidence.Request{From: at(-time.Hour), To: at(time.Hour), Recordings: true})
	l.verify(b, pack.Options{})
	files := members(t, b)
	for name, content := range files {
		if strings.HasSuffix(name, ".xlsx") { // what is packed twice is looked at too
			for part, text := range members(t, []byte(content)) {
				files[name+"/"+part] = text
			}
		}
	}
	for name, content := range files {
		for what, canary := range canaries {
			if strings.Contains(content, canary) {
				t.Errorf("%s tells %s", name, what)
			}
		}
		if strings.Contains(content, "PRIVATE KEY") {
			t.Errorf("%s holds a private key", name)
		}
	}
}

// TestMaliciousNames puts markup and formulas wherever people can write: pages
// show it as text, and spreadsheets do not run it.
func TestMaliciousNames(t *testing.T) {
	l := newLab(t)
	const script, img, formula = `<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `=cmd|' /C calc'!A1`
	by := l.As("dev")
	by.Reason, by.Actor.UserAgent, by.RequestID = script, img, `</td>`+script
	l.Do(&config.Set{App: "clinic", Values: map[string]*secret.Value{"X": commandtest.Value("1")}}, by)
	l.Do(&sessions.Open{App: "clinic", Dyno: `run.1` + script, Type: img}, by)
	l.Do(&people.CreateAccount{Email: "evil@example.org", Name: formula}, l.As("root"))
	l.Do(&people.CreateAccount{Email: "evil2@example.org", Name: `'"` + script}, l.As("root"))
	l.Do(&people.CreateToken{Description: formula}, by)
	l.Do(&spaces.RecordAttempt{Scope: l.IDs["space:ward"], Name: script, From: img, Target: `javascript:alert(1)`, Result: script}, commandtest.Platform)
	owner := l.As("owner")
	owner.Reason = img
	l.Do(&teams.GrantRole{Team: "care", Email: "evil@example.org", Role: authz.Viewer}, owner)
	l.Set(at(2 * time.Hour))
	b := l.export(evidence.Request{From: at(-time.Hour), To: at(time.Hour)})
	l.verify(b, pack.Options{})
	files := members(t, b)
	r, err := reader.New()
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for name, content := range files {
		if !strings.HasSuffix(name, ".html") {
			continue
		}
		content = strings.Replace(content, string(r.Script), "", 1) // ours
		if strings.Contains(content, "<script") || strings.Contains(content, "<img") || strings.Contains(content, "</td></td>") {
			t.Errorf("%s has markup of somebody's", name)
		}
		if regexp.MustCompile(`(?i)(src|href|action)\s*=\s*["']?\s*(https?:|//|javascript:)`).MatchString(content) {
			t.Errorf("%s leads out of the pack", name)
		}
		if strings.Contains(content, "&lt;script&gt;") {
			shown++
		}
	}
	if shown < 3 {
		t.Errorf("only %d pages show what was written", shown)
	}
	users := rows(t, files, "users")
	if !slices.ContainsFunc(users, func(row []string) bool { return slices.Contains(row, "'"+formula) }) {
		t.Errorf("users: %v", users)
	}
	for name, content := range files {
		if !strings.HasSuffix(name, ".csv") {
			continue
		}
		list, err := csv.NewReader(strings.NewReader(content)).ReadAll()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, row := range list {
			for _, c := range row {
				if c != "" && strings.ContainsRune("=+-@\t\r", rune(c[0])) {
					t.Errorf("%s: a spreadsheet runs %q", name, c)
				}
			}
		}
	}
}

// whole looks at every page: each link leads to a member of the pack. It gives
// the number of pages.
func whole(t *testing.T, l *lab, files map[string]string) (pages int) {
	t.Helper()
	link := regexp.MustCompile(`href="([^"#]+)"`)
	for name, content := range files {
		if !strings.HasSuffix(name, ".html") {
			continue
		}
		pages++
		for _, m := range link.FindAllStringSubmatch(content, -1) {
			if to := filepath.Join(filepath.Dir(name), m[1]); files[to] == "" {
				t.Errorf("%s leads to %s, which is not there", name, m[1])
			}
		}
		if !strings.Contains(content, ledger.Fingerprint(l.vkey)) || strings.Contains(content, "<no value>") || strings.Contains(content, "ZgotmplZ") {
			t.Errorf("%s is not whole", name)
		}
	}
	return pages
}

// TestPages are whole.
func TestPages(t *testing.T) {
	l := newLab(t)
	l.Do(&spaces.RecordAttempt{Scope: l.IDs["space:ward"], Name: "connect", From: "attic-probe", Target: "10.0.0.1", Refused: true, Result: "timed out", Count: 3}, commandtest.Platform)
	l.Set(at(2 * time.Hour))
	files := members(t, l.export(evidence.Request{From: at(-time.Hour), To: at(time.Hour)}))
	pages := whole(t, l, files)
	folders := 0
	for _, f := range l.programme.Frameworks {
		for _, r := range f.Requirements {
			if r.Item != nil {
				folders++
			}
		}
	}
	// Besides the reports: the index, people, isolation, controls, the paths of
	// ePHI, and the table of the items.
	if pages != len(evidence.Definitions)+folders+6 {
		t.Errorf("%d pages for %d reports", pages, len(evidence.Definitions))
	}
	for _, want := range []string{"refused", "clinic", "records", "1 other space<"} {
		if !strings.Contains(files["reports/isolation.html"], want) {
			t.Errorf("the isolation report does not tell of %q", want)
		}
	}
}

// TestPeople counts every entry once: sessions are in two reports, scaling is
// in none, and refusals that follow each other are one entry.
func TestPeople(t *testing.T) {
	l := newLab(t)
	for range 3 {
		if err := l.exporter.Export(t.Context(), l.As("viewer"), evidence.Request{Space: "ward", From: at(-time.Hour), To: at(time.Hour)}, nil); fault.Of(err) != fault.Forbidden {
			t.Fatal(err)
		}
	}
	l.Set(at(30 * time.Minute)) // the minute in which refusals are only counted is over
	l.Do(&apps.Scale{Identity: "clinic", Updates: []apps.ScaleUpdate{{Type: "web", Quantity: ptr(2)}}}, l.As("dev"))
	want := map[string]map[string]int64{}
	for _, e := range l.Since(0) {
		if e.Scope != "" && e.Scope != l.IDs["space:ward"] && e.Scope != l.IDs["team:care"] {
			continue
		}
		if want[e.Actor.Email] == nil {
			want[e.Actor.Email] = map[string]int64{}
		}
		want[e.Actor.Email][e.Action] += max(1, e.Count)
	}
	if want["viewer@example.org"]["evidence.export"] != 3 || want["dev@example.org"]["session.open"] != 2 || want["dev@example.org"]["formation.scale"] != 1 {
		t.Fatalf("the world is not as the test takes it to be: %v", want)
	}
	l.Set(at(2 * time.Hour))
	page := members(t, l.export(evidence.Request{From: at(-time.Hour), To: at(time.Hour)}))["reports/people.html"]
	row := regexp.MustCompile(`<tr><td>([^<]*)</td><td>[^<]*</td><td>[^<]*</td><td>\d+</td><td[^>]*>(\d+)</td><td>(.*)</td></tr>`)
	got := map[string]map[string]int64{}
	for _, m := range row.FindAllStringSubmatch(page, -1) {
		got[m[1]] = map[string]int64{}
		for _, did := range strings.Split(strings.TrimSuffix(m[3], "<br>"), "<br>") {
			action, n, _ := strings.Cut(did, " × ")
			got[m[1]][action], _ = strconv.ParseInt(n, 10, 64)
		}
		if m[1] == "viewer@example.org" && m[2] != "3" {
			t.Errorf("%s was refused %s times, want 3", m[1], m[2])
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("people (-recorded +shown):\n%s", diff)
	}
}

func TestWhoMayExport(t *testing.T) {
	l := newLab(t)
	l.Set(at(2 * time.Hour))
	for who, kind := range map[string]fault.Kind{"dev": fault.Forbidden, "viewer": fault.Forbidden, "collab": fault.NotFound, "stranger": fault.NotFound} {
		before := l.Size()
		err := l.exporter.Export(t.Context(), l.As(who), evidence.Request{Space: "ward", From: at(-time.Hour), To: at(time.Hour)}, func(string) io.Writer {
			t.Errorf("a pack was begun for %s", who)
			return io.Discard
		})
		if fault.Of(err) != kind {
			t.Errorf("%s: %v, want %s", who, err, kind)
		}
		if lines := l.Since(before); len(lines) != 1 || lines[0].Scope != l.IDs["space:ward"] || lines[0].Outcome != ledger.Denied {
			t.Errorf("%s: recorded as %v", who, lines)
		}
	}
}

// brokenPipe is a client that leaves in the middle.
type brokenPipe struct{ n int }

func (w *brokenPipe) Write(p []byte) (int, error) {
	if w.n -= len(p); w.n < 0 {
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}

// TestClientLeaves does not record the issue of a pack that was not written.
func TestClientLeaves(t *testing.T) {
	l := newLab(t)
	l.Set(at(2 * time.Hour))
	before := l.Size()
	err := l.exporter.Export(t.Context(), l.As("auditor"), evidence.Request{Space: "ward", From: at(-time.Hour), To: at(time.Hour)}, func(string) io.Writer { return &brokenPipe{5000} })
	if err == nil {
		t.Error("half a pack was taken for whole")
	}
	if got := commandtest.Actions(l.Since(before)); !slices.Equal(got, []string{"evidence.export"}) {
		t.Errorf("recorded as %v", got)
	}
}
