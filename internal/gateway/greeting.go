package gateway

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// maxGreeting bounds the client's first line, its end included.
const maxGreeting = 512

// maxSecret bounds a secret; ours have 43 characters.
const maxSecret = 256

// greeting is the server's answer to a valid first line. The client drops the
// first thing it reads, so it goes out alone.
const greeting = "rendezvous\r\n"

var errGreeting = errors.New("the client's first line is not a secret")

// readGreeting reads "SECRET[?query]\r\n". The reader's buffer has maxGreeting
// bytes, which is what bounds the line.
func readGreeting(r *bufio.Reader) (secret string, err error) {
	line, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", errGreeting
	} else if err != nil {
		return "", err
	}
	return parseGreeting(line)
}

func newGreetingReader(r io.Reader) *bufio.Reader { return bufio.NewReaderSize(r, maxGreeting) }

// parseGreeting takes the secret out of the first line. What follows a question
// mark has no meaning.
func parseGreeting(line []byte) (secret string, err error) {
	line, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok {
		return "", errGreeting
	}
	text, _, _ := bytes.Cut(line, []byte("?"))
	if len(text) == 0 || len(text) > maxSecret {
		return "", errGreeting
	}
	for _, c := range text {
		if !isSecretChar(c) {
			return "", errGreeting
		}
	}
	return string(text), nil
}

func isSecretChar(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}
