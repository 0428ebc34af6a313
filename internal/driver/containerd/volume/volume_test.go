package volume

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseMount(t *testing.T) {
	cases := map[string]struct {
		line string
		want *mount
	}{
		"plain": {
			"36 35 7:1 / /var/lib/x/mnt/db rw,nosuid,nodev,noatime shared:1 - ext4 /dev/loop1 rw",
			&mount{device: "7:1", root: "/", point: "/var/lib/x/mnt/db", source: "/dev/loop1"},
		},
		"no optional field": {
			"36 35 7:1 /data /c rw - ext4 /dev/loop1 rw",
			&mount{device: "7:1", root: "/data", point: "/c", source: "/dev/loop1"},
		},
		"escapes": {
			`36 35 7:1 /a\040b /c\134040d rw - ext4 /dev/loop1 rw`,
			&mount{device: "7:1", root: "/a b", point: `/c\040d`, source: "/dev/loop1"},
		},
		"empty":        {"", nil},
		"no separator": {"36 35 7:1 / / rw ext4 /dev/loop1 rw", nil},
		"short":        {"36 35 - ext4 /dev/loop1", nil},
		"no source":    {"36 35 7:1 / / rw - ext4", nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, ok := parseMount(c.line)
			if ok != (c.want != nil) {
				t.Fatalf("ok %v", ok)
			}
			if ok {
				if diff := cmp.Diff(*c.want, got, cmp.AllowUnexported(mount{})); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func FuzzParseMount(f *testing.F) {
	f.Add("36 35 7:1 / /var/lib/x/mnt/db rw,nosuid shared:1 - ext4 /dev/loop1 rw")
	f.Add(`1 2 3 \134\040 \ - - x y`)
	f.Fuzz(func(t *testing.T, line string) {
		if m, ok := parseMount(line); ok && (m.device == "" || m.root == "" || m.point == "" || m.source == "") {
			t.Errorf("%q becomes %+v", line, m)
		}
	})
}

func TestIDs(t *testing.T) {
	for _, id := range []string{"engine", "7c1d0b2e-6f0e-4a3c-9f0e-2d6f3b1a9c55", "A_1"} {
		if !validID.MatchString(id) {
			t.Errorf("%q is refused", id)
		}
	}
	// A dot would let an id look like another one's files.
	for _, id := range []string{"", ".", "..", "a.img", "a/b", "-a", "a\n", "a b", "ä"} {
		if validID.MatchString(id) {
			t.Errorf("%q is accepted", id)
		}
	}
}

func TestImageSize(t *testing.T) {
	for _, bytes := range []int64{minBytes, 16 * mebi, 1024*mebi - 1, 1024 * mebi, 10 << 30, maxBytes} {
		size := imageSize(bytes)
		if size%mebi != 0 || size < bytes+bytes/64+journalSize(bytes)*mebi {
			t.Errorf("%d bytes: image of %d", bytes, size)
		}
	}
}
