package document

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// filled gives a document of the kind with a value of its own in every member,
// the same at every run: strings hold their path, numbers are counted.
func filled(t testing.TB, kind Kind) Doc {
	t.Helper()
	d := types[kind].zero()
	f := &filler{t: t}
	f.fill(reflect.ValueOf(d).Elem(), string(kind))
	if head := d.(interface{ Head() *Base }).Head(); head != nil {
		head.Schema = types[kind].schema
	}
	return d
}

type filler struct {
	t testing.TB
	n int64
}

var timeType = reflect.TypeFor[time.Time]()

func (f *filler) fill(v reflect.Value, path string) {
	f.n++
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == timeType {
			v.Set(reflect.ValueOf(time.Date(2026, 11, 23, 4, 5, 6, int(f.n), time.UTC)))
			return
		}
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if !field.IsExported() {
				f.t.Fatalf("%s.%s is not exported: it would be lost", path, field.Name)
			}
			f.fill(v.Field(i), path+"."+strings.ToLower(field.Name))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem(), path)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			f.fill(v.Index(i), fmt.Sprintf("%s.%d", path, i))
		}
	case reflect.String:
		// Not only ASCII: names and reasons are people's.
		v.SetString(path + " <é\u2028\"\\>")
	case reflect.Int, reflect.Int64:
		v.SetInt(f.n)
	case reflect.Bool:
		v.SetBool(true)
	default:
		f.t.Fatalf("%s is a %s: the ledger has strings, integers, booleans, lists and objects", path, v.Type())
	}
}
