package view

import "testing"

func TestWithDisk(t *testing.T) {
	const gib = 1 << 30
	for _, c := range []struct {
		used, size int64
		want       string
	}{
		{gib / 2, 2 * gib, "0.50 of 2.00 GB used (25%)"},
		{7*gib/4 + 1, 2 * gib, "1.75 of 2.00 GB used (87%), nearly full: what needs room will be refused"},
		{2*gib - 1, 2 * gib, "2.00 of 2.00 GB used (99%), full: what needs room is refused until something is deleted"},
	} {
		d := Database{Info: []Info{{Name: "Plan"}}}.WithDisk(c.used, c.size)
		if last := d.Info[len(d.Info)-1]; last.Name != "Disk" || last.Values[0] != c.want {
			t.Errorf("%d of %d: %+v, want %q", c.used, c.size, last, c.want)
		}
	}
	if d := (Database{}).WithDisk(0, 0); len(d.Info) != 0 {
		t.Errorf("a disk that is not known: %+v", d)
	}
}
