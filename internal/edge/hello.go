package edge

import (
	"crypto/tls"
	"errors"
)

// errHello ends the handshake at the moment when the hello is known.
var errHello = errors.New("the hello is complete")

// readHello reads a ClientHello and returns the server name in it, or the
// reason why there is none. All bytes read are in conn.read then.
//
// The parser is the one in crypto/tls, which the router also uses: the two can
// never read different names out of the same bytes. It costs some 6 µs.
func readHello(conn *bounded) (name, reason string) {
	config := &tls.Config{
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			name = hello.ServerName
			return nil, errHello
		},
	}
	if err := tls.Server(conn, config).Handshake(); !errors.Is(err, errHello) {
		return "", conn.reason()
	}
	if name == "" {
		return "", ReasonNoName
	}
	return name, ""
}
