package pack

import (
	"encoding/base64"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/strongroom/strongroom/internal/fault"
)

// Hash is a node of the tree, in JSON as strict base64.
type Hash tlog.Hash

// MarshalText writes base64.
func (h Hash) MarshalText() ([]byte, error) {
	return base64.StdEncoding.AppendEncode(nil, h[:]), nil
}

// UnmarshalText reads what MarshalText writes and nothing else.
func (h *Hash) UnmarshalText(text []byte) error {
	var buf [tlog.HashSize + 1]byte
	n := 0
	err := error(nil)
	if base64.StdEncoding.DecodedLen(len(text)) <= len(buf) {
		n, err = base64.StdEncoding.Strict().Decode(buf[:], text)
	}
	if err != nil || n != tlog.HashSize || len(text) != 44 {
		return fault.New(fault.Invalid, "not a base64 hash: %.60q", text)
	}
	*h = Hash(buf[:tlog.HashSize])
	return nil
}

func toHashes(in []Hash) []tlog.Hash {
	out := make([]tlog.Hash, len(in))
	for i, h := range in {
		out[i] = tlog.Hash(h)
	}
	return out
}

func fromHashes(in []tlog.Hash) []Hash {
	out := make([]Hash, len(in))
	for i, h := range in {
		out[i] = Hash(h)
	}
	return out
}
