package ledger

import (
	"bytes"
	"iter"
	"math"
	"strconv"

	"github.com/strongroom/strongroom/internal/fault"
)

// JSON is a canonical text that was taken apart in the pass that checked it, so
// that nothing in it is scanned a second time. It can be used for one text after
// the other and keeps its memory.
type JSON struct {
	b     []byte
	nodes []node
}

// node is a value in the text: a node's parts follow it, those of each part
// before the next one.
type node struct {
	nameFrom, nameTo uint32 // its name without quotes, if it is a member
	from, to         uint32
	next             uint32 // the first node that is not within it
	escaped          bool   // the name has escapes
}

// keepNodes bounds what is remembered for the next text: one that somebody made
// of nothing but members takes many times its own size.
const keepNodes = 512

// Read checks b as CheckCanonical does and takes it apart. The values share
// memory with b, and are valid until the next Read.
func (j *JSON) Read(b []byte) error {
	if len(b) > math.MaxUint32 {
		return fault.New(fault.TooLarge, "JSON of more than 4 GiB")
	}
	if cap(j.nodes) > keepNodes {
		j.nodes = nil
	}
	c := canonicalChecker{b: b, keep: true, nodes: j.nodes[:0]}
	err := c.check()
	j.b, j.nodes = b, c.nodes
	if err != nil {
		j.b, j.nodes = nil, c.nodes[:0]
	}
	return err
}

// ReadObject is Read of a text that must be an object.
func (j *JSON) ReadObject(b []byte) error {
	if len(b) == 0 || b[0] != '{' {
		return fault.New(fault.Invalid, "not a JSON object")
	}
	return j.Read(b)
}

// Value is the whole text; absent if there is none.
func (j *JSON) Value() Value {
	if len(j.nodes) == 0 {
		return Value{}
	}
	return Value{j, 0}
}

// Value is one value of a JSON. The zero Value is an absent one: it has no text
// and no parts.
type Value struct {
	in *JSON
	at uint32
}

func (v Value) node() *node { return &v.in.nodes[v.at] }

// Exists reports whether there is such a value; null is one.
func (v Value) Exists() bool { return v.in != nil }

// Text is the value's canonical text, nil if it is absent.
func (v Value) Text() []byte {
	if v.in == nil {
		return nil
	}
	n := v.node()
	return v.in.b[n.from:n.to:n.to]
}

// At is where in the whole text the value begins.
func (v Value) At() int { return int(v.node().from) }

func (v Value) first() byte {
	if v.in == nil {
		return 0
	}
	return v.in.b[v.node().from]
}

// IsObject reports whether the value is an object.
func (v Value) IsObject() bool { return v.first() == '{' }

// IsArray reports whether the value is an array.
func (v Value) IsArray() bool { return v.first() == '[' }

// IsNull reports whether the value is there and null.
func (v Value) IsNull() bool { return v.first() == 'n' }

// Parts are an object's members or an array's elements, in order.
func (v Value) Parts() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		if v.in == nil {
			return
		}
		for at, end := v.at+1, v.node().next; at < end; at = v.in.nodes[at].next {
			if !yield(Value{v.in, at}) {
				return
			}
		}
	}
}

// Member is the member of that name; absent if the value has none, or is no object.
func (v Value) Member(name string) Value {
	if !v.IsObject() {
		return Value{}
	}
	for at, end := v.at+1, v.node().next; at < end; {
		n := &v.in.nodes[at]
		if n.named(v.in.b, name) {
			return Value{v.in, at}
		}
		at = n.next
	}
	return Value{}
}

// named reports whether the node is the member of that name in b.
func (n *node) named(b []byte, name string) bool {
	if n.escaped {
		return string(unescape(b[n.nameFrom:n.nameTo])) == name
	}
	return int(n.nameTo-n.nameFrom) == len(name) && string(b[n.nameFrom:n.nameTo]) == name
}

// Element is the i-th element; absent if the value has none, or is no array.
func (v Value) Element(i int) Value {
	if !v.IsArray() {
		return Value{}
	}
	for part := range v.Parts() {
		if i == 0 {
			return part
		}
		i--
	}
	return Value{}
}

// Characters are those of a string. They share memory with the text if nothing
// in it is escaped.
func (v Value) Characters() (s []byte, ok bool) {
	if v.first() != '"' {
		return nil, false
	}
	n := v.node()
	s = v.in.b[n.from+1 : n.to-1 : n.to-1]
	if bytes.IndexByte(s, '\\') >= 0 {
		s = unescape(s)
	}
	return s, true
}

// String is Characters, copied; nothing if the value is no string.
func (v Value) String() string {
	s, _ := v.Characters()
	return string(s)
}

// Int is the value of a number.
func (v Value) Int() (int64, bool) {
	n, err := strconv.ParseInt(string(v.Text()), 10, 64)
	return n, err == nil
}
