// Package control is the interface through which the engine configures a data
// plane process: JSON over HTTP on a unix socket, open to one uid only.
//
// The caller is known by the credentials that the kernel attaches to the
// connection (SO_PEERCRED), not by the permissions of the socket's path alone.
// Requests are bounded, bodies are decoded strictly, and an error's fault kind
// travels to the client. Packages edge and router serve it; their clients call
// it.
package control
