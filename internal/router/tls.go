package router

import (
	"crypto/tls"
	"errors"
)

var errUnknownName = errors.New("no certificate for this name")

// protocols are offered in this order.
var protocols = []string{"h2", "http/1.1"}

// hostTLS is the configuration of a host's connections. TLS 1.2 is limited to
// forward secrecy and authenticated encryption; what TLS 1.3 has is all of that
// kind.
func hostTLS(certificate tls.Certificate, minVersion uint16) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{certificate},
		MinVersion:   minVersion,
		NextProtos:   protocols,
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
			tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
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
			return host.tls, nil
		},
	}
}
