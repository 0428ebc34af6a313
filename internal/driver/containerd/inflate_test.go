package containerd

import (
	"archive/tar"
	"bytes"
	"strconv"
	"testing"

	"github.com/strongroom/strongroom/internal/fault"
)

func TestAllowance(t *testing.T) {
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	for i := range 3 {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: strconv.Itoa(i), Size: 10_000}); err != nil {
			t.Fatal(err)
		}
		w.Write(make([]byte, 10_000))
	}
	w.Close()
	for _, c := range []struct {
		name    string
		allowed allowance
		content []byte
		want    fault.Kind
	}{
		{"enough", allowance{100_000, 10}, layer.Bytes(), ""},
		{"just enough files", allowance{100_000, 3}, layer.Bytes(), ""},
		{"too many files", allowance{100_000, 2}, layer.Bytes(), fault.TooLarge},
		{"too many bytes", allowance{20_000, 10}, layer.Bytes(), fault.TooLarge},
		{"cut off", allowance{100_000, 10}, layer.Bytes()[:15_000], fault.Invalid},
		{"no tar", allowance{100_000, 10}, bytes.Repeat([]byte("x"), 5000), fault.Invalid},
	} {
		if err := c.allowed.walk(t.Context(), bytes.NewReader(c.content)); fault.Of(err) != c.want {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	a := allowance{50_000, 10}
	if err := a.walk(t.Context(), bytes.NewReader(layer.Bytes())); err != nil {
		t.Fatal(err)
	}
	if err := a.walk(t.Context(), bytes.NewReader(layer.Bytes())); fault.Of(err) != fault.TooLarge {
		t.Errorf("a second layer: %v; the allowance is for all", err)
	}
}
