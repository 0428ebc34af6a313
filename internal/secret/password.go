package secret

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/strongroom/strongroom/internal/fault"
)

// MinPassword is the least length of a password, in bytes (NIST SP 800-63B-4
// asks for 15 where it is the only factor).
const MinPassword = 15

// HashPassword gives "pbkdf2-sha256$iterations$salt$hash". It is itself sealed
// before it is stored.
func HashPassword(password string) (Value, error) {
	if len(password) < MinPassword {
		return Value{}, fault.New(fault.Invalid, "a password needs at least %d characters", MinPassword)
	}
	salt := make([]byte, 16)
	rand.Read(salt)
	h, err := pbkdf2.Key(sha256.New, password, salt, PassphraseIterations, 32)
	if err != nil {
		return Value{}, fmt.Errorf("hash password: %w", err)
	}
	enc := base64.StdEncoding.EncodeToString
	return NewValue([]byte(fmt.Sprintf("pbkdf2-sha256$%d$%s$%s", PassphraseIterations, enc(salt), enc(h)))), nil
}

// CheckPassword tells whether password is the one that was hashed.
func CheckPassword(hash Value, password string) bool {
	parts := strings.Split(string(hash.Reveal()), "$")
	if len(parts) != 4 || parts[0] != "pbkdf2-sha256" {
		return false
	}
	n, err := strconv.Atoi(parts[1])
	if err != nil || n < 1 || n > 10*PassphraseIterations {
		return false
	}
	salt, err1 := base64.StdEncoding.DecodeString(parts[2])
	want, err2 := base64.StdEncoding.DecodeString(parts[3])
	if err1 != nil || err2 != nil {
		return false
	}
	got, err := pbkdf2.Key(sha256.New, password, salt, n, len(want))
	return err == nil && subtle.ConstantTimeCompare(got, want) == 1
}
