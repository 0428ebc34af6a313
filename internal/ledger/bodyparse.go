package ledger

import (
	"bytes"

	"github.com/strongroom/strongroom/internal/fault"
)

// ParseBody reads a body and refuses bytes that Canonical would not have written.
func ParseBody(b []byte) (*Body, error) {
	var j JSON
	if err := j.Read(b); err != nil {
		return nil, err
	}
	return BodyOf(j.Value())
}

// BodyOf is ParseBody of a text that was taken apart already, and so checked. The
// body shares no memory with it.
func BodyOf(v Value) (*Body, error) {
	b := &Body{}
	if m := membersOf(v); !m.all(b.read) {
		return nil, fault.New(fault.Invalid, "body has another shape than this version knows")
	}
	if len(v.Text()) > MaxBody {
		return nil, errBodySize()
	}
	return b, nil
}

// The read methods take members in the order that the canonical form has them.

func (b *Body) read(m *members) {
	b.Action = m.text("action")
	m.object("actor", b.Actor.read)
	b.App = m.textIfAny("app")
	b.Blobs = listIfAny(m, "blobs", (*Blob).read)
	if n, ok := m.intIfAny("cause"); ok {
		b.Cause = &n
	}
	b.Changes = listIfAny(m, "changes", (*Change).read)
	b.Checkpoint = m.textIfAny("checkpoint")
	if n, ok := m.intIfAny("count"); ok {
		b.Count = n
		m.require(n != 0)
	}
	b.Details = listIfAny(m, "details", (*Detail).read)
	b.Erased = listIfAny(m, "erased", (*Erased).read)
	b.Error = m.textIfAny("error")
	b.Outcome = Outcome(m.text("outcome"))
	b.Reason = m.textIfAny("reason")
	b.RequestID = m.text("request_id")
	m.object("target", b.Target.read)
	b.Via = Via(m.text("via"))
}

func (a *Actor) read(m *members) {
	a.Email = m.text("email")
	a.ID = m.text("id")
	a.IP = m.text("ip")
	a.Kind = ActorKind(m.text("kind"))
	a.MFA = m.bool("mfa")
	a.Roles = m.texts("roles")
	a.Session = m.text("session")
	a.UserAgent = m.text("user_agent")
}

func (t *Target) read(m *members) {
	t.ID = m.text("id")
	t.Kind = m.text("kind")
	t.Name = m.text("name")
}

func (c *Change) read(m *members) {
	m.must("doc")
	c.Doc = bytes.Clone(m.value.Text())
	c.ID = m.text("id")
	c.Kind = m.text("kind")
	c.Rev = m.int("rev")
}

func (b *Blob) read(m *members) {
	b.MediaType = m.text("media_type")
	b.Role = m.text("role")
	b.SHA256 = m.text("sha256")
	b.Size = m.int("size")
}

func (e *Erased) read(m *members) {
	e.Action = m.text("action")
	e.Actor = m.text("actor")
	e.Outcome = Outcome(m.text("outcome"))
	e.Rule = m.text("rule")
	e.Seq = m.int("seq")
}

func (d *Detail) read(m *members) {
	d.Name = m.text("name")
	d.Value = m.text("value")
}

// members are an object's, taken one after the other. What does not fit is
// noticed and told at the end.
type members struct {
	in     *JSON
	at, to uint32 // the next one, and where they end
	value  Value  // of the one that was taken last
	bad    bool
}

func membersOf(v Value) members {
	if !v.IsObject() {
		return members{bad: true}
	}
	return members{in: v.in, at: v.at + 1, to: v.node().next}
}

// all reports whether read took every member and each was what it has to be.
func (m *members) all(read func(*members)) bool {
	read(m)
	return !m.bad && m.at == m.to
}

func (m *members) require(ok bool) { m.bad = m.bad || !ok }

// next takes the next member, if that is its name.
func (m *members) next(name string) bool {
	m.value = Value{}
	if m.at == m.to || !m.in.nodes[m.at].named(m.in.b, name) {
		return false
	}
	m.value = Value{m.in, m.at}
	m.at = m.value.node().next
	return true
}

func (m *members) must(name string) { m.require(m.next(name)) }

func (m *members) text(name string) string {
	m.must(name)
	s, ok := m.value.Characters()
	m.require(ok)
	return string(s)
}

// textIfAny takes a member that is not written if it is empty.
func (m *members) textIfAny(name string) string {
	if !m.next(name) {
		return ""
	}
	s, ok := m.value.Characters()
	m.require(ok && len(s) > 0)
	return string(s)
}

func (m *members) int(name string) int64 {
	n, ok := m.intIfAny(name)
	m.require(ok)
	return n
}

func (m *members) intIfAny(name string) (int64, bool) {
	if !m.next(name) {
		return 0, false
	}
	n, ok := m.value.Int()
	m.require(ok)
	return n, true
}

func (m *members) bool(name string) bool {
	m.must(name)
	s := string(m.value.Text())
	m.require(s == "true" || s == "false")
	return s == "true"
}

func (m *members) texts(name string) []string {
	m.must(name)
	m.require(m.value.IsArray())
	out := []string{}
	for part := range m.value.Parts() {
		s, ok := part.Characters()
		m.require(ok)
		out = append(out, string(s))
	}
	return out
}

func (m *members) object(name string, read func(*members)) {
	m.must(name)
	inner := membersOf(m.value)
	m.require(inner.all(read))
}

// listIfAny takes a list of objects that is not written if it is empty.
func listIfAny[T any](m *members, name string, read func(*T, *members)) (list []T) {
	if !m.next(name) {
		return nil
	}
	m.require(m.value.IsArray())
	for part := range m.value.Parts() {
		var x T
		inner := membersOf(part)
		m.require(inner.all(func(in *members) { read(&x, in) }))
		list = append(list, x)
	}
	m.require(len(list) > 0)
	return list
}
