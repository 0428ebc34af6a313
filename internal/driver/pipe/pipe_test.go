package pipe

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
)

func TestPipeCarriesAllInOrder(t *testing.T) {
	p := New(7)
	want := strings.Repeat("0123456789", 100)
	go func() {
		io.WriteString(p, want)
		p.End(nil)
	}()
	got, err := io.ReadAll(p)
	if err != nil || string(got) != want {
		t.Fatalf("read %d bytes, %v", len(got), err)
	}
}

func TestPipeHoldsTheWriterAtItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(4)
		done := make(chan int, 1)
		go func() {
			n, _ := io.WriteString(p, "123456")
			done <- n
		}()
		synctest.Wait()
		select {
		case <-done:
			t.Fatal("the writer did not wait")
		default:
		}
		p.Close()
		if n := <-done; n != 4 {
			t.Fatalf("%d bytes written before the reader left, want 4", n)
		}
	})
}

func TestPipeEnds(t *testing.T) {
	p := New(10)
	io.WriteString(p, "x")
	lost := errors.New("lost")
	p.End(lost)
	p.End(nil)
	got, err := io.ReadAll(p)
	if string(got) != "x" || !errors.Is(err, lost) {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := p.Write([]byte("y")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("write after the end: %v", err)
	}
	p.Close()
	if _, err := p.Read(make([]byte, 1)); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("read after close: %v", err)
	}
}
