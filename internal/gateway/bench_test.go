package gateway

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/strongroom/strongroom/internal/blob"
	"github.com/strongroom/strongroom/internal/recording"
)

// BenchmarkKeystroke is the way of one key from the client through TLS to a
// process with a terminal, and of its echo back, at the pace of a fast typist.
func BenchmarkKeystroke(b *testing.B) {
	b.Run("unrecorded", func(b *testing.B) { benchmarkKeystroke(b, nothing{}) })
	b.Run("recorded", func(b *testing.B) {
		dir := b.TempDir()
		store, err := blob.Open(filepath.Join(dir, "blobs"), labKeys{})
		must(b, err)
		r, err := recording.New(recording.Config{Dir: filepath.Join(dir, "running"), Keys: labKeys{}, Blobs: store})
		must(b, err)
		rec, err := r.Open(b.Context(), recording.Meta{ID: uuid.NewString(), Started: time.Now()})
		must(b, err)
		benchmarkKeystroke(b, rec)
	})
}

// nothing records nothing: what a gateway without recording would do.
type nothing struct{}

func (nothing) Input([]byte) error  { return nil }
func (nothing) Output([]byte) error { return nil }

func benchmarkKeystroke(b *testing.B, rec recorder) {
	client, server := tlsPair(b)
	process := startProcess(b, true, "bash", "-c", "stty -icanon -echo; echo ready; exec cat")
	ctx, cancel := context.WithCancel(context.Background())
	br := &bridge{client: server, in: server, process: process, record: rec, tty: true, idle: time.Minute, pause: time.Millisecond}
	ended := make(chan error, 1)
	go func() { ended <- br.run(ctx) }()
	readUntil(b, client, "ready\r\n")
	var took []time.Duration
	key := make([]byte, 1)
	for b.Loop() {
		time.Sleep(10 * time.Millisecond)
		begin := time.Now()
		send(b, client, "x")
		_, err := io.ReadFull(client, key)
		must(b, err)
		took = append(took, time.Since(begin))
	}
	cancel()
	<-ended
	slices.Sort(took)
	at := func(p float64) float64 { return float64(took[int(p*float64(len(took)-1))].Microseconds()) / 1000 }
	b.ReportMetric(at(0.5), "p50-ms")
	b.ReportMetric(at(0.99), "p99-ms")
}

func tlsPair(b *testing.B) (client, server *tls.Conn) {
	cert, _ := testCert(b)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(b, err)
	defer ln.Close()
	dialled := make(chan *tls.Conn, 1)
	go func() {
		c, _ := tls.Dial("tcp", ln.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		dialled <- c
	}()
	conn, err := ln.Accept()
	must(b, err)
	server = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}, DynamicRecordSizingDisabled: true})
	must(b, server.Handshake())
	client = <-dialled
	b.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}
