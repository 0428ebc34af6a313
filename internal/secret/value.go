// Package secret keeps secrets: a master key wraps one data key per scope
// (space, team, installation), a data key seals values. Sealed values and
// wrapped keys lie beside the ledger, in the same database transaction as the
// entry that names them. Destroying a scope's data key destroys all its secrets.
//
// Invariants: only AES-256-GCM, HKDF and PBKDF2 of the standard library, so
// that everything runs under GODEBUG=fips140=only; a Value never prints itself;
// nothing here logs. internal/control and internal/command call it.
package secret

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Value is a secret in memory. It prints, logs and marshals as "[sealed]", so
// that it cannot leak by accident; Reveal is the one door.
//
// The bytes are behind a function, because fmt cannot call the methods of a
// value in an unexported field and would print whatever it finds there, through
// pointers too. It also makes values not comparable: comparing secrets takes
// constant time or is a mistake.
type Value struct{ reveal func() []byte }

// NewValue takes over b.
func NewValue(b []byte) Value { return Value{func() []byte { return b }} }

// Reveal gives the secret's bytes. The caller must not keep or change them.
func (v Value) Reveal() []byte {
	if v.reveal == nil {
		return nil
	}
	return v.reveal()
}

const hidden = "[sealed]"

// String hides the secret.
func (Value) String() string { return hidden }

// Format hides the secret from every verb.
func (Value) Format(s fmt.State, _ rune) { io.WriteString(s, hidden) } //nolint:errcheck // fmt's own buffer

// LogValue hides the secret from slog.
func (Value) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText refuses: a secret in JSON would be a leak.
func (Value) MarshalText() ([]byte, error) {
	return nil, errors.New("a secret value cannot be marshalled")
}
