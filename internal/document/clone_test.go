package document

import (
	"reflect"
	"testing"
	"time"
)

// alter changes every value in place, as deep as it goes: what is shared changes
// in the other, too.
func alter(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == timeType {
			v.Set(reflect.ValueOf(v.Interface().(time.Time).Add(time.Hour)))
			return
		}
		for i := range v.NumField() {
			alter(v.Field(i))
		}
	case reflect.Pointer:
		alter(v.Elem())
	case reflect.Slice:
		for i := range v.Len() {
			alter(v.Index(i))
		}
	case reflect.String:
		v.SetString(v.String() + "!")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	}
}

// TestClone alters everything in a clone and looks at the original.
func TestClone(t *testing.T) {
	for _, kind := range Kinds() {
		d := filled(t, kind)
		c := Clone(d)
		if !reflect.DeepEqual(c, d) {
			t.Errorf("%s: the clone is %+v, want %+v", kind, c, d)
		}
		alter(reflect.ValueOf(c).Elem())
		if !reflect.DeepEqual(d, filled(t, kind)) {
			t.Errorf("%s: altering the clone changed the original to %+v", kind, d)
		}
		if reflect.DeepEqual(c, d) {
			t.Errorf("%s: the clone was not altered", kind)
		}
		if none := types[kind].zero(); !reflect.DeepEqual(Clone(none), none) {
			t.Errorf("%s: an empty one becomes %+v", kind, Clone(none))
		}
	}
}
