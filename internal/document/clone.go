package document

import (
	"reflect"
	"time"
)

// Clone gives a document that shares nothing with d that either could change.
// The store keeps decoded documents in memory and hands out clones: commands
// alter what they are given.
func Clone(d Doc) Doc {
	p := reflect.New(reflect.TypeOf(d).Elem())
	p.Elem().Set(reflect.ValueOf(d).Elem())
	separate(p.Elem())
	return p.Interface().(Doc)
}

// separate replaces what v, itself a copy, still shares with its original.
func separate(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() { // its location is never changed
			return
		}
		for i := range v.NumField() {
			separate(v.Field(i))
		}
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		p := reflect.New(v.Type().Elem())
		p.Elem().Set(v.Elem())
		separate(p.Elem())
		v.Set(p)
	case reflect.Slice:
		if v.IsNil() {
			return
		}
		s := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(s, v)
		for i := range s.Len() {
			separate(s.Index(i))
		}
		v.Set(s)
	case reflect.Map:
		panic("document: maps have no place in documents (see Doc)")
	}
}
