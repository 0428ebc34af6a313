package api

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/strongroom/strongroom/internal/fault"
)

// readBody fills the struct or map that into points to from the request's JSON body.
// Members are matched by their exact name. Members that nobody knows are
// ignored, as Heroku does; a wrong type is refused. No body is an empty object.
func readBody(w http.ResponseWriter, r *http.Request, into any) error {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return fault.New(fault.TooLarge, "A request body has at most %d bytes.", maxBody)
	}
	if err != nil {
		return badRequest("The request body could not be read.")
	}
	if len(data) == 0 {
		return nil
	}
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" && !strings.HasSuffix(t, "+json") {
		return problemf(http.StatusUnsupportedMediaType, "unsupported_media_type", "Send the body as Content-Type: application/json.")
	}
	return decodeJSON(data, into)
}

func decodeJSON(data []byte, into any) error {
	node, err := parseJSON(data)
	if err != nil {
		return badRequest("The request body is malformed: %s.", err)
	}
	object, ok := node.(map[string]any)
	if !ok {
		return badRequest("The request body must be a JSON object.")
	}
	return assign(reflect.ValueOf(into).Elem(), object, "")
}

// flexible is a type that reads several JSON forms.
type flexible interface{ fromJSON(node any) bool }

// assign puts a parsed value into a Go value. path names it in errors.
func assign(to reflect.Value, node any, path string) error {
	if f, ok := to.Addr().Interface().(flexible); ok {
		return typed(f.fromJSON(node), to, path)
	}
	switch to.Kind() {
	case reflect.Pointer:
		if node == nil {
			return nil
		}
		to.Set(reflect.New(to.Type().Elem()))
		return assign(to.Elem(), node, path)
	case reflect.Struct:
		return assignStruct(to, node, path)
	case reflect.Slice:
		return assignSlice(to, node, path)
	case reflect.Map:
		return assignMap(to, node, path)
	case reflect.String:
		s, ok := node.(string)
		to.SetString(s)
		return typed(ok, to, path)
	case reflect.Bool:
		b, ok := node.(bool)
		to.SetBool(b)
		return typed(ok, to, path)
	case reflect.Int, reflect.Int64:
		n, ok := integer(node)
		to.SetInt(n)
		return typed(ok, to, path)
	}
	panic("api: a body cannot hold " + to.Type().String())
}

// typed is nil or says which type a member must have.
func typed(ok bool, to reflect.Value, path string) error {
	if ok {
		return nil
	}
	want := map[reflect.Kind]string{
		reflect.Struct: "an object", reflect.Slice: "an array", reflect.Map: "an object",
		reflect.String: "a string", reflect.Bool: "true or false", reflect.Int: "an integer", reflect.Int64: "an integer",
	}[to.Kind()]
	if f, ok := to.Addr().Interface().(interface{ wants() string }); ok {
		want = f.wants()
	}
	return fault.New(fault.Invalid, "%s must be %s.", path, want)
}

func assignStruct(to reflect.Value, node any, path string) error {
	object, ok := node.(map[string]any)
	if !ok {
		return typed(false, to, path)
	}
	for i := range to.NumField() {
		name := to.Type().Field(i).Tag.Get("json")
		value, there := object[name]
		// null and absence mean the same, except to types that tell them apart.
		if !there || value == nil && !isFlexible(to.Field(i)) {
			continue
		}
		if err := assign(to.Field(i), value, join(path, name)); err != nil {
			return err
		}
	}
	return nil
}

func isFlexible(v reflect.Value) bool {
	_, ok := v.Addr().Interface().(flexible)
	return ok
}

func assignSlice(to reflect.Value, node any, path string) error {
	list, ok := node.([]any)
	if !ok {
		return typed(false, to, path)
	}
	out := reflect.MakeSlice(to.Type(), len(list), len(list))
	for i, x := range list {
		if err := assign(out.Index(i), x, path+"["+strconv.Itoa(i)+"]"); err != nil {
			return err
		}
	}
	to.Set(out)
	return nil
}

func assignMap(to reflect.Value, node any, path string) error {
	object, ok := node.(map[string]any)
	if !ok {
		return typed(false, to, path)
	}
	out := reflect.MakeMapWithSize(to.Type(), len(object))
	for name, x := range object {
		v := reflect.New(to.Type().Elem()).Elem()
		// The value of a map may be a secret: only its name is shown.
		if err := assign(v, x, join(path, clip(name))); err != nil {
			return err
		}
		out.SetMapIndex(reflect.ValueOf(name), v)
	}
	to.Set(out)
	return nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// clip bounds what of a caller's text is repeated in an error.
func clip(s string) string {
	const most = 64
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "")
}

func integer(node any) (int64, bool) {
	n, ok := node.(json.Number)
	if !ok {
		return 0, false
	}
	i, err := n.Int64()
	return i, err == nil
}

// number is an integer, also where it is written as a string: the CLI sends
// what was typed. Set tells whether it was there.
type number struct {
	Set   bool
	Value int
}

func (n *number) wants() string { return "an integer" }

func (n *number) fromJSON(node any) bool {
	if node == nil {
		return true
	}
	if s, ok := node.(string); ok {
		node = json.Number(s)
	}
	i, ok := integer(node)
	if ok && i == int64(int32(i)) {
		n.Set, n.Value = true, int(i)
		return true
	}
	return false
}

// text is a string, also where it is written as an integer: the CLI sends a
// terminal's measures in env that way.
type text string

func (t *text) wants() string { return "a string" }

func (t *text) fromJSON(node any) bool {
	if n, ok := node.(json.Number); ok {
		if _, ok := integer(n); !ok {
			return false
		}
		node = n.String()
	}
	s, ok := node.(string)
	*t = text(s)
	return ok
}

// ref is a name or an id, written as a string or as an object that holds it.
type ref string

func (r *ref) wants() string { return "a name or id, or an object with one" }

func (r *ref) fromJSON(node any) bool {
	if object, ok := node.(map[string]any); ok {
		for _, name := range []string{"id", "name", "email"} {
			if s, ok := object[name].(string); ok {
				*r = ref(s)
				return true
			}
		}
		return false
	}
	s, ok := node.(string)
	*r = ref(s)
	return ok || node == nil
}

// nullable is a string that may be null, which is not the same as its absence.
type nullable struct {
	Set   bool
	Null  bool
	Value string
}

func (n *nullable) wants() string { return "a string or null" }

func (n *nullable) fromJSON(node any) bool {
	n.Set, n.Null = true, node == nil
	if n.Null {
		return true
	}
	s, ok := node.(string)
	n.Value = s
	return ok
}
