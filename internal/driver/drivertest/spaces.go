package drivertest

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
)

func capabilities(b *bench) {
	c, err := b.driver.Capabilities(b.Context())
	b.must("capabilities", err)
	if c.Engine == "" || c.Version == "" {
		b.Errorf("capabilities %+v name no engine", c)
	}
}

func images(b *bench) {
	again, err := b.driver.ImportImage(b.Context(), bytes.NewReader(b.Image))
	b.must("import again", err)
	if again != b.digest {
		b.Errorf("digest %s, the first time %s", again, b.digest)
	}
	o, err := b.driver.Observe(b.Context())
	b.must("observe", err)
	if !slices.Contains(o.Images, b.digest) {
		b.Errorf("images %v lack %s", o.Images, b.digest)
	}
	_, err = b.driver.ImportImage(b.Context(), strings.NewReader("this is no archive, however long it may be: "+strings.Repeat("x", 1024)))
	b.wantFault("import nonsense", err, fault.Invalid)
	_, err = b.driver.ImportImage(b.Context(), bytes.NewReader(b.Image[:len(b.Image)/2]))
	b.wantFault("import half an image", err, fault.Invalid)
}

// faults checks the kinds of errors that callers act on.
func faults(b *bench) {
	ctx := b.Context()
	b.wantFault("space with a bad id", b.driver.EnsureSpace(ctx, driver.Space{ID: "../x"}), fault.Invalid)
	for _, o := range []driver.Outbound{
		{Name: "a b", Protocol: "tcp", FromPort: 1, ToPort: 1},
		{Name: "api.example.org", CIDR: "192.0.2.0/24", Protocol: "tcp", FromPort: 1, ToPort: 1},
	} {
		bad := b.space
		bad.Outbound = []driver.Outbound{o}
		b.wantFault("an outbound rule that is none", b.driver.EnsureSpace(ctx, bad), fault.Invalid)
	}
	f := b.web(1)
	f.Space = uuid.NewString()
	b.wantFault("formation in an unknown space", b.driver.ApplyFormation(ctx, f), fault.NotFound)
	f = b.web(1)
	f.Process.Image = "sha256:" + strings.Repeat("0", 64)
	b.wantFault("formation of an unknown image", b.driver.ApplyFormation(ctx, f), fault.NotFound)
	f = b.web(1)
	f.Process.Mounts = []driver.Mount{{Volume: uuid.NewString(), Path: "/data"}}
	b.wantFault("formation with an unknown volume", b.driver.ApplyFormation(ctx, f), fault.NotFound)
	f = b.web(-1)
	b.wantFault("formation of less than nothing", b.driver.ApplyFormation(ctx, f), fault.Invalid)
	t := b.task()
	t.Process.Args = nil
	_, err := b.driver.StartTask(ctx, t)
	b.wantFault("task without a command", err, fault.Invalid)
	t = b.task("wait")
	t.Space = uuid.NewString()
	_, err = b.driver.StartTask(ctx, t)
	b.wantFault("task in an unknown space", err, fault.NotFound)
	b.wantFault("routes of an unknown space", b.driver.ApplyRoutes(ctx, driver.Routes{Space: uuid.NewString()}), fault.NotFound)
	twice := []driver.Route{{Hostname: "a.example.org"}, {Hostname: "a.example.org"}}
	b.wantFault("one name routed twice", b.driver.ApplyRoutes(ctx, driver.Routes{Space: b.space.ID, Domains: twice}), fault.Invalid)
	broken := []driver.Route{{Hostname: "a.example.org", Certificate: "x", Key: "y"}}
	b.wantFault("a route with a broken certificate", b.driver.ApplyRoutes(ctx, driver.Routes{Space: b.space.ID, Domains: broken}), fault.Invalid)
	strangers := []driver.Route{{Hostname: "a.example.org", Clients: "x"}}
	b.wantFault("a route with broken authorities", b.driver.ApplyRoutes(ctx, driver.Routes{Space: b.space.ID, Domains: strangers}), fault.Invalid)
	b.wantFault("lock an unknown volume", b.driver.LockVolume(ctx, uuid.NewString()), fault.NotFound)
	_, err = b.driver.DestroyVolume(ctx, uuid.NewString())
	b.wantFault("destroy an unknown volume", err, fault.NotFound)
	_, err = b.driver.Dial(ctx, uuid.NewString(), 80)
	b.wantFault("dial an unknown formation", err, fault.NotFound)
	_, err = b.driver.Logs(ctx, driver.LogQuery{Space: uuid.NewString(), App: uuid.NewString()})
	b.wantFault("logs of an unknown space", err, fault.NotFound)
	b.must("remove an unknown space", b.driver.RemoveSpace(ctx, uuid.NewString()))
	b.must("remove an unknown formation", b.driver.RemoveFormation(ctx, uuid.NewString()))
}

func (b *bench) observedSpace(id string) (driver.ObservedSpace, bool) {
	b.Helper()
	o, err := b.driver.Observe(b.Context())
	b.must("observe", err)
	i := slices.IndexFunc(o.Spaces, func(s driver.ObservedSpace) bool { return s.ID == id })
	if i < 0 {
		return driver.ObservedSpace{}, false
	}
	return o.Spaces[i], true
}

func spaces(b *bench) {
	b.must("ensure again", b.driver.EnsureSpace(b.Context(), b.space))
	s, _ := b.observedSpace(b.space.ID)
	if s.Digest != driver.Digest(b.space) || s.Routes != "" || s.UIDs < 65536 || s.UIDBase < 1000 || s.Subnet == "" {
		b.Errorf("observed as %+v", s)
	}
	other, _ := b.observedSpace(b.newSpace().ID)
	if other.UIDBase < s.UIDBase+s.UIDs && s.UIDBase < other.UIDBase+other.UIDs {
		b.Errorf("id ranges overlap: %+v %+v", s, other)
	}

	changed := b.space
	changed.Trusted = []string{"203.0.113.0/24"}
	changed.Outbound = []driver.Outbound{
		{CIDR: "0.0.0.0/0", Protocol: "tcp", FromPort: 443, ToPort: 443},
		{Name: "*.example.org", Protocol: "tcp", FromPort: 443, ToPort: 443},
	}
	b.must("change space", b.driver.EnsureSpace(b.Context(), changed))
	routes := driver.Routes{Space: b.space.ID, Domains: []driver.Route{{Hostname: "shop.example.org", Formation: ""}}}
	b.must("apply routes", b.driver.ApplyRoutes(b.Context(), routes))
	b.must("apply routes again", b.driver.ApplyRoutes(b.Context(), routes))
	b.eventually("the change in force", func(o driver.Observation) bool {
		for _, now := range o.Spaces {
			if now.ID == b.space.ID {
				return now.Digest == driver.Digest(changed) && now.Routes == driver.Digest(routes) && now.UIDBase == s.UIDBase
			}
		}
		return false
	})
}

// refusals: what may not leave is told with whose it was.
func refusals(b *bench) {
	worker := b.worker("dial 198.51.100.77:443", "wait")
	b.apply(worker)
	b.wantLog(worker.Labels.App, "dial 198.51.100.77:443 refused")
	s, _ := b.observedSpace(b.space.ID)
	want := driver.Refusal{App: worker.Labels.App, Dyno: "worker.1", To: "198.51.100.77", Protocol: "tcp", Port: 443}
	for _, r := range s.Refused {
		if r.Packets == 0 {
			b.Errorf("tried by no packet: %+v", r)
		}
		r.Packets = 0
		if r == want {
			return
		}
	}
	b.Errorf("refused: %+v, want %+v among it", s.Refused, want)
}

func removesSpace(b *bench) {
	f := b.web(1)
	b.apply(f)
	b.settled(f)
	t := b.task("deaf", "sleep 1h")
	t.Attach = false
	_, err := b.driver.StartTask(b.Context(), t)
	b.must("start task", err)
	v := b.newVolume()
	said := b.task("say kept")
	said.Attach = false
	_, err = b.driver.StartTask(b.Context(), said)
	b.must("start task", err)
	b.wantLog(said.Labels.App, "kept")
	b.wantFault("remove the logs of a space that is there", b.driver.RemoveLogs(b.Context(), b.space.ID), fault.Conflict)

	b.must("remove space", b.driver.RemoveSpace(b.Context(), b.space.ID))
	b.must("remove it again", b.driver.RemoveSpace(b.Context(), b.space.ID))
	o, err := b.driver.Observe(b.Context())
	b.must("observe", err)
	if _, there := b.observedSpace(b.space.ID); there || states(o, f) != "" {
		b.Errorf("still there: %s", b.describe(o))
	}
	for _, seen := range o.Tasks {
		if seen.ID == t.ID {
			b.Errorf("the task is still observed: %+v", seen)
		}
	}
	if !slices.ContainsFunc(o.Volumes, func(seen driver.ObservedVolume) bool { return seen.ID == v.ID }) {
		b.Error("its volume went with it")
	}

	// Its log outlives it until it is removed.
	for _, want := range []bool{true, false} {
		b.must("make the space again", b.driver.EnsureSpace(b.Context(), b.space))
		lines := texts(b.query(driver.LogQuery{App: said.Labels.App, Lines: 1000, Source: "app"}))
		if slices.Contains(lines, "kept") != want {
			b.Errorf("the log has %q", lines)
		}
		b.must("remove space", b.driver.RemoveSpace(b.Context(), b.space.ID))
		b.must("remove logs", b.driver.RemoveLogs(b.Context(), b.space.ID))
	}
	b.must("remove the logs of an unknown space", b.driver.RemoveLogs(b.Context(), uuid.NewString()))
	b.wantFault("remove the logs of no space", b.driver.RemoveLogs(b.Context(), "../x"), fault.Invalid)
}

type entry struct {
	tar.Header
	content string
}

func archive(entries ...entry) []byte {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, e := range entries {
		e.Size = int64(len(e.content))
		if err := w.WriteHeader(&e.Header); err != nil {
			panic(err)
		}
		io.WriteString(w, e.content)
	}
	w.Close()
	return buf.Bytes()
}

func regular(name, content string, uid int) entry {
	return entry{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o640, Uid: uid, Gid: uid}, content}
}

// unpack returns the regular files of an archive as "name uid content".
func (b *bench) unpack(r io.ReadCloser) []string {
	b.Helper()
	defer r.Close()
	var list []string
	for in := tar.NewReader(r); ; {
		h, err := in.Next()
		if err == io.EOF {
			slices.Sort(list)
			return list
		}
		b.must("read archive", err)
		if h.Typeflag == tar.TypeReg {
			content, _ := io.ReadAll(in)
			list = append(list, strings.TrimPrefix(h.Name, "./")+" "+string(rune('0'+h.Uid%10))+" "+string(content))
		}
	}
}

func files(b *bench) {
	ctx := b.Context()
	v := b.newVolume()
	b.must("put files", b.driver.PutFiles(ctx, v.ID, "a/b", bytes.NewReader(archive(
		entry{Header: tar.Header{Typeflag: tar.TypeDir, Name: "sub/", Mode: 0o755, Uid: 3, Gid: 3}},
		regular("sub/x", "ex", 3), regular("y", "why", 5),
	))))
	r, err := b.driver.GetFiles(ctx, v.ID, "a/b")
	b.must("get files", err)
	if got := b.unpack(r); !slices.Equal(got, []string{"sub/x 3 ex", "y 5 why"}) {
		b.Errorf("got %q", got)
	}
	for _, name := range []string{"../out", "/out", "sub/../../out"} {
		err := b.driver.PutFiles(ctx, v.ID, "a", bytes.NewReader(archive(regular(name, "x", 0))))
		b.wantFault("put "+name, err, fault.Invalid)
	}
	b.wantFault("put into ..", b.driver.PutFiles(ctx, v.ID, "../a", bytes.NewReader(archive())), fault.Invalid)
	b.wantFault("put nonsense", b.driver.PutFiles(ctx, v.ID, "a", strings.NewReader(strings.Repeat("x", 2048))), fault.Invalid)
	_, err = b.driver.GetFiles(ctx, v.ID, "a/none")
	b.wantFault("get what is not there", err, fault.NotFound)
	_, err = b.driver.GetFiles(ctx, uuid.NewString(), "")
	b.wantFault("get from an unknown volume", err, fault.NotFound)

	b.must("lock", b.driver.LockVolume(ctx, v.ID))
	b.must("lock again", b.driver.LockVolume(ctx, v.ID))
	_, err = b.driver.GetFiles(ctx, v.ID, "a/b")
	b.wantFault("get from a locked volume", err, fault.Conflict)
	wrong := v
	wrong.Key = slices.Repeat([]byte{7}, 64)
	b.wantFault("unlock with another key", b.driver.EnsureVolume(ctx, wrong), fault.Invalid)
	b.must("unlock", b.driver.EnsureVolume(ctx, v))
	r, err = b.driver.GetFiles(ctx, v.ID, "a/b")
	b.must("get files", err)
	if got := b.unpack(r); len(got) != 2 {
		b.Errorf("after unlocking: %q", got)
	}

	d, err := b.driver.DestroyVolume(ctx, v.ID)
	b.must("destroy", err)
	if !d.KeyRemoved || d.ReadTried == "" {
		b.Errorf("disposal %+v", d)
	}
	_, err = b.driver.GetFiles(ctx, v.ID, "")
	b.wantFault("get from a destroyed volume", err, fault.NotFound)
}

func volumeInContainer(b *bench) {
	v := b.newVolume()
	b.must("put files", b.driver.PutFiles(b.Context(), v.ID, "d", bytes.NewReader(archive(
		entry{Header: tar.Header{Typeflag: tar.TypeDir, Name: "./", Mode: 0o755, Uid: b.UID, Gid: b.UID}},
		regular("in", "from outside", b.UID),
	))))
	t := b.task("read /data/in", "write /data/out from inside")
	t.Process.Mounts = []driver.Mount{{Volume: v.ID, Dir: "d", Path: "/data"}}
	b.wantOutput(t, "from outside\n")
	r, err := b.driver.GetFiles(b.Context(), v.ID, "d")
	b.must("get files", err)
	want := []string{"in " + string(rune('0'+b.UID%10)) + " from outside", "out " + string(rune('0'+b.UID%10)) + " from inside"}
	if got := b.unpack(r); !slices.Equal(got, want) {
		b.Errorf("got %q, want %q", got, want)
	}
	t = b.task("write /data/in x")
	t.Process.Mounts = []driver.Mount{{Volume: v.ID, Dir: "d", Path: "/data", ReadOnly: true}}
	if out, exit := b.run(t); exit.Code == 0 {
		b.Errorf("a read-only mount was written: %q", out)
	}
}

func busyVolume(b *bench) {
	v := b.newVolume()
	b.must("put files", b.driver.PutFiles(b.Context(), v.ID, "", bytes.NewReader(archive(regular("f", "text", b.UID)))))
	t := b.task("hold /data/f", "say holding", "wait")
	t.Attach = false
	t.Process.Mounts = []driver.Mount{{Volume: v.ID, Path: "/data"}}
	s, err := b.driver.StartTask(b.Context(), t)
	b.must("start task", err)
	b.wantLog(t.Labels.App, "holding")
	b.wantFault("lock a busy volume", b.driver.LockVolume(b.Context(), v.ID), fault.Conflict)
	_, err = b.driver.DestroyVolume(b.Context(), v.ID)
	b.wantFault("destroy a busy volume", err, fault.Conflict)
	r, err := b.driver.GetFiles(b.Context(), v.ID, "")
	b.must("a refused lock leaves the volume readable", err)
	r.Close()

	b.must("stop task", b.driver.StopTask(b.Context(), t.ID))
	b.finish(s)
	ctx, cancel := context.WithTimeout(b.Context(), b.Patience)
	defer cancel()
	for err = b.driver.LockVolume(ctx, v.ID); err != nil && ctx.Err() == nil; err = b.driver.LockVolume(ctx, v.ID) {
		time.Sleep(b.Patience / 100)
	}
	b.must("lock after the task", err)
	locked := b.task("wait")
	locked.Process.Mounts = t.Process.Mounts
	_, err = b.driver.StartTask(b.Context(), locked)
	b.wantFault("start on a locked volume", err, fault.Conflict)
}
