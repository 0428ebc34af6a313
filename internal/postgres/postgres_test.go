package postgres

import (
	"bytes"
	"testing"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/secret"
)

// TestVolumes wants two volumes with a key each, the same ones each time, and
// the second one long enough for the log.
func TestVolumes(t *testing.T) {
	key := secret.NewValue(bytes.Repeat([]byte{7}, 64))
	for _, c := range []struct{ bytes, log, server int64 }{
		{100 * mebi, 64 * mebi, 1280 * mebi},
		{2 * gibi, 128 * mebi, 1536 * mebi},
		{64 * gibi, 1 * gibi, 5 * gibi},
	} {
		a := &document.Addon{Volume: document.NewID(), Space: document.NewID(), Bytes: c.bytes}
		v, err := Volumes(a, key)
		if err != nil || len(v) != 2 {
			t.Fatalf("%v, %v", v, err)
		}
		data, server := VolumeIDs(a)
		if data != a.Volume || v[0].ID != data || v[1].ID != server || server == data {
			t.Errorf("%s and %s, want %s and %s", v[0].ID, v[1].ID, data, server)
		}
		if !bytes.Equal(v[0].Key, key.Reveal()) || bytes.Equal(v[1].Key, v[0].Key) {
			t.Error("the first volume has the add-on's key, the second one of its own")
		}
		if got := maxLog(a); got != c.log || v[0].Bytes != c.bytes || v[1].Bytes != c.server {
			t.Errorf("a log of %d on %d bytes beside %d, want %+v", got, v[1].Bytes, v[0].Bytes, c)
		}
		for _, one := range v {
			if err := one.Validate(); err != nil {
				t.Error(err)
			}
		}
		again, err := Volumes(a, key)
		if err != nil || !bytes.Equal(again[1].Key, v[1].Key) {
			t.Errorf("the second volume has another key the second time: %v", err)
		}
		a.Volume = document.NewID()
		other, err := Volumes(a, key)
		if err != nil || bytes.Equal(other[1].Key, v[1].Key) {
			t.Errorf("two databases have the same key for their second volumes: %v", err)
		}
	}
}
