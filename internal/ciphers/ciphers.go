// Package ciphers says which cipher suites the platform's own listeners take:
// the API and the routers set them.
//
// Invariant: each has forward secrecy and authenticated encryption. TLS 1.3 has
// no others, so the list is about TLS 1.2 alone.
package ciphers

import "crypto/tls"

// TLS12 lists the suites of TLS 1.2, as tls.Config takes them.
func TLS12() []uint16 {
	return []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
		tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	}
}
