package api

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Bounds of a page.
const (
	defaultPage = 200
	maxPage     = 1000
	maxRange    = 512 // bytes of a Range header
)

// window is the part of a list that a client asks for (Heroku's Range header):
//
//	Range: version ]5..; order=desc,max=10
type window struct {
	property  string // "" = the list's first
	from, to  string // "" = open
	exclusive bool   // from itself is left out
	max       int
	desc      bool
}

func unsatisfiable(format string, args ...any) *problem {
	return problemf(http.StatusRequestedRangeNotSatisfiable, "requested_range_not_satisfiable", format, args...)
}

// parseWindow reads a Range header. An empty one asks for the first page.
func parseWindow(header string) (window, error) {
	w := window{max: defaultPage}
	if len(header) > maxRange {
		return w, unsatisfiable("The Range header is too long.")
	}
	spec, options, _ := strings.Cut(header, ";")
	if spec = strings.TrimSpace(spec); spec != "" {
		if err := w.parseSpec(spec); err != nil {
			return w, err
		}
	} else if strings.TrimSpace(options) != "" {
		return w, unsatisfiable("The Range header names no property.")
	}
	for _, option := range strings.FieldsFunc(options, func(c rune) bool { return c == ';' || c == ',' }) {
		if option = strings.TrimSpace(option); option == "" {
			continue
		}
		if err := w.parseOption(option); err != nil {
			return w, err
		}
	}
	return w, nil
}

func (w *window) parseSpec(spec string) error {
	property, bounds, _ := strings.Cut(spec, " ")
	if !isProperty(property) {
		return unsatisfiable("The Range header does not begin with a property.")
	}
	w.property = property
	if bounds = strings.TrimSpace(bounds); bounds == "" {
		return nil
	}
	from, to, ok := strings.Cut(bounds, "..")
	if !ok || strings.ContainsAny(bounds, " \t") {
		return unsatisfiable("The Range header has no bounds like %s from..to.", property)
	}
	from, w.exclusive = strings.CutPrefix(from, "]")
	if w.exclusive && from == "" {
		return unsatisfiable("The Range header excludes a start that it does not name.")
	}
	w.from, w.to = from, to
	return nil
}

func (w *window) parseOption(option string) error {
	name, value, _ := strings.Cut(option, "=")
	switch name {
	case "max":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			return unsatisfiable("max must be a number between 1 and %d.", maxPage)
		}
		w.max = min(n, maxPage)
		return nil
	case "order":
		if value != "asc" && value != "desc" {
			return unsatisfiable("order must be asc or desc.")
		}
		w.desc = value == "desc"
		return nil
	}
	return unsatisfiable("The Range header knows the options max and order.")
}

func isProperty(s string) bool {
	if s == "" || len(s) > 32 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && c != '_' {
			return false
		}
	}
	return true
}

// property is what a list can be sorted and cut by. Exactly one of text and
// number is set.
type property[T any] struct {
	name   string
	text   func(T) string
	number func(T) int64
}

func (p property[T]) value(x T) string {
	if p.number != nil {
		return strconv.FormatInt(p.number(x), 10)
	}
	return p.text(x)
}

// compare a value of the list with one from a header.
func (p property[T]) compare(a, b string) (int, error) {
	if p.number == nil {
		return strings.Compare(a, b), nil
	}
	x, err1 := strconv.ParseInt(a, 10, 64)
	y, err2 := strconv.ParseInt(b, 10, 64)
	if err1 != nil || err2 != nil {
		return 0, unsatisfiable("%s is a number.", p.name)
	}
	switch {
	case x < y:
		return -1, nil
	case x > y:
		return 1, nil
	}
	return 0, nil
}

// page cuts a list to what the Range header asks for.
func page[T any](r *http.Request, items []T, properties ...property[T]) (Answer, error) {
	w, err := parseWindow(r.Header.Get("Range"))
	if err != nil {
		return Answer{}, err
	}
	by, names := properties[0], make([]string, 0, len(properties))
	found := w.property == ""
	for _, p := range properties {
		names = append(names, p.name)
		if p.name == w.property {
			by, found = p, true
		}
	}
	if !found {
		return Answer{}, unsatisfiable("This list can be cut by: %s.", strings.Join(names, ", "))
	}
	w.property = by.name
	list, more, err := cut(items, w, by)
	if err != nil {
		return Answer{}, err
	}
	out := Answer{Body: list, Header: http.Header{"Accept-Ranges": {strings.Join(names, ", ")}}}
	if len(list) > 0 {
		out.Header.Set("Content-Range", fmt.Sprintf("%s %s..%s", by.name, by.value(list[0]), by.value(list[len(list)-1])))
	}
	if more {
		out.Status = http.StatusPartialContent
		out.Header.Set("Next-Range", w.next(by.value(list[len(list)-1])))
	}
	return out, nil
}

// cut sorts and selects. more tells whether the window went on.
func cut[T any](items []T, w window, by property[T]) (list []T, more bool, err error) {
	order := func(a, b string) int {
		c, e := by.compare(a, b)
		if e != nil {
			err = e
		}
		if w.desc {
			return -c
		}
		return c
	}
	sorted := slices.Clone(items)
	slices.SortStableFunc(sorted, func(a, b T) int { return order(by.value(a), by.value(b)) })
	list = []T{}
	for _, x := range sorted {
		v := by.value(x)
		if w.from != "" {
			if c := order(v, w.from); c < 0 || c == 0 && w.exclusive {
				continue
			}
		}
		if w.to != "" && order(v, w.to) > 0 {
			break
		}
		if len(list) == w.max {
			return list, true, err
		}
		list = append(list, x)
	}
	return list, false, err
}

// next is the Next-Range header after the last value of a page.
func (w *window) next(last string) string {
	out := fmt.Sprintf("%s ]%s..%s; max=%d", w.property, last, w.to, w.max)
	if w.desc {
		out += ", order=desc"
	}
	return out
}
