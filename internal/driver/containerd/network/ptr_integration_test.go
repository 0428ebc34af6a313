//go:build integration

package network

import "unsafe"

func ptr(b *[16]byte) uintptr { return uintptr(unsafe.Pointer(b)) }
