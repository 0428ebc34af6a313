package sqlite

import (
	"encoding/binary"

	"github.com/strongroom/strongroom/internal/store"
)

// decoder reads varints until one is broken.
type decoder struct {
	data []byte
	bad  bool
}

func (d *decoder) uint() int64 {
	v, n := binary.Uvarint(d.data)
	if n <= 0 || int64(v) < 0 {
		d.bad = true
		return 0
	}
	d.data = d.data[n:]
	return int64(v)
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.data)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.data = d.data[n:]
	return v
}

func (d *decoder) err(what string) error {
	if d.bad {
		return &store.Damage{Seq: -1, What: what + " cannot be read"}
	}
	return nil
}
