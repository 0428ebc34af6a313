package state

import (
	"time"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/store"
)

// volumesEncrypted: every database lies on a volume with a key of its own.
var volumesEncrypted = &compliance.Check{
	ID: "state.volumes-encrypted", Title: "Every database has an encrypted volume with its own key", Version: 1,
	Every: often, Reads: []string{"addon."},
	State: each(func(v store.View, _ time.Time, a *document.Addon) ([]compliance.Result, error) {
		if a.State != document.AddonProvisioned {
			return nil, nil
		}
		r := compliance.Pass("The volume of " + a.Name + " is encrypted with a key of its own, which is wrapped by its space's key.")
		if a.Volume == "" || a.VolumeKey == nil {
			r = compliance.Fail("The database " + a.Name + " runs without an encrypted volume of its own.")
		}
		others, err := store.Find[*document.Addon](v, "all", "")
		if err != nil {
			return nil, err
		}
		for _, b := range others {
			if b.ID != a.ID && b.VolumeKey != nil && a.VolumeKey != nil && b.VolumeKey.SHA256 == a.VolumeKey.SHA256 {
				r = compliance.Fail("The volumes of " + a.Name + " and " + b.Name + " have the same key.")
			}
		}
		r.Seqs, err = seqs(v, a)
		return one(r.Of(a.Space, a.ID, a.Name), err)
	}),
}
