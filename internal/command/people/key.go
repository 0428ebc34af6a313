package people

import (
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// AddKey gives the actor an SSH public key.
type AddKey struct {
	PublicKey string           // one line of authorized_keys
	Key       *document.SSHKey // the result
}

// Action is key.add.
func (*AddKey) Action() string { return "key.add" }

// Aim parses the key.
func (c *AddKey) Aim(store.View) (control.Aim, error) {
	if len(c.PublicKey) > 16<<10 {
		return control.Aim{}, fault.New(fault.TooLarge, "A public key has at most 16 KB.")
	}
	pub, comment, _, rest, err := ssh.ParseAuthorizedKey([]byte(c.PublicKey))
	if err != nil || len(rest) > 0 {
		return control.Aim{}, fault.New(fault.Invalid, "That is not an SSH public key. Give the content of a .pub file.")
	}
	//lint:ignore SA1019 it is named in order to be refused
	if pub.Type() == ssh.InsecureKeyAlgoDSA {
		return control.Aim{}, fault.New(fault.Invalid, "DSA keys are not accepted. Use Ed25519, ECDSA or RSA.")
	}
	c.Key = &document.SSHKey{
		Base: document.Base{ID: document.NewID()}, PublicKey: c.PublicKey,
		Fingerprint: ssh.FingerprintSHA256(pub), Comment: comment,
	}
	return control.Aim{Target: ledger.Target{Kind: "key", ID: c.Key.ID, Name: c.Key.Fingerprint}, Need: authz.Anyone}, nil
}

// Decide refuses a key that is in use: a key names one person.
func (c *AddKey) Decide(v store.View, by control.By, _ time.Time, d *control.Decision) error {
	have, err := store.Find[*document.SSHKey](v, "fingerprint", c.Key.Fingerprint)
	if err != nil {
		return err
	}
	if len(have) > 0 {
		return fault.New(fault.Invalid, "Key is already in use.")
	}
	c.Key.Account = by.Actor.ID
	d.Put(c.Key)
	return nil
}

// RemoveKey takes one of the actor's keys away.
type RemoveKey struct {
	ID  string           // id, fingerprint or comment
	Key *document.SSHKey // the result
}

// Action is key.remove.
func (*RemoveKey) Action() string { return "key.remove" }

// Aim is the key; whose it is, Decide finds out.
func (c *RemoveKey) Aim(store.View) (control.Aim, error) {
	return control.Aim{Target: ledger.Target{Kind: "key", Name: c.ID}, Need: authz.Anyone}, nil
}

// Decide looks among the actor's own keys only.
func (c *RemoveKey) Decide(v store.View, by control.By, _ time.Time, d *control.Decision) error {
	keys, err := store.Find[*document.SSHKey](v, "account", by.Actor.ID)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if k.ID == c.ID || k.Fingerprint == c.ID || k.Comment == c.ID {
			c.Key = k
			d.Delete(document.KindKey, k.ID)
			return nil
		}
	}
	return fault.New(fault.NotFound, "Couldn't find that key.")
}
