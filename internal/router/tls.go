package router

import (
	"crypto/tls"
	"errors"

	"github.com/strongroom/strongroom/internal/ciphers"
)

var errUnknownName = errors.New("no certificate for this name")

// protocols are offered in this order.
var protocols = []string{"h2", "http/1.1"}

// hostTLS is the configuration of a host's connections.
func hostTLS(certificate tls.Certificate, minVersion uint16) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{certificate},
		MinVersion:   minVersion,
		NextProtos:   protocols,
		CipherSuites: ciphers.TLS12(),
	}
}

// serverTLS finds the host's configuration for each connection in the snapshot
// of that moment. Session tickets are encrypted with keys of this one
// configuration, which crypto/tls renews daily; a ticket of one host is good for
// another, and proves nothing but that its holder has connected before.
func (r *router) serverTLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: protocols,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			host := r.hosts.Load().find(hello.ServerName)
			if host == nil {
				return nil, errUnknownName
			}
			if host.clients != nil {
				return r.mutual(host, hello.Conn), nil
			}
			return host.tls, nil
		},
	}
}
