package router

import (
	"errors"
	"io"
)

// upload is the request's body on its way to a backend. Closing does nothing:
// after a failed connection it is read again for another backend, and the
// server closes the client's body itself.
type upload struct {
	io.Reader
	exchange *exchange
}

func (u *upload) Read(p []byte) (int, error) {
	x := u.exchange
	x.fromClient.Store(true)
	n, err := u.Reader.Read(p)
	x.fromClient.Store(false)
	x.dog.touch()
	if errors.Is(err, io.EOF) {
		x.uploaded.Store(true)
	} else if err != nil {
		x.uploadFailed.Store(true)
	}
	return n, err
}

func (u *upload) Close() error { return nil }

// download is a response's body on its way to the client.
type download struct {
	io.ReadCloser
	exchange *exchange
}

func (d *download) Read(p []byte) (int, error) {
	n, err := d.ReadCloser.Read(p)
	d.exchange.dog.touch()
	return n, err
}

// tunnel is the backend's side of an upgraded connection.
type tunnel struct {
	io.ReadWriteCloser
	exchange *exchange
}

func (t *tunnel) Read(p []byte) (int, error) {
	n, err := t.ReadWriteCloser.Read(p)
	t.exchange.dog.touch()
	t.exchange.tunnelled.Add(int64(n))
	return n, err
}

func (t *tunnel) Write(p []byte) (int, error) {
	t.exchange.dog.touch()
	return t.ReadWriteCloser.Write(p)
}

// CloseWrite passes the end of the client's stream on.
func (t *tunnel) CloseWrite() error {
	if half, ok := t.ReadWriteCloser.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return t.Close()
}
