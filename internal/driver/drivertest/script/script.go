// Package script is the app that driver tests deploy: a program that is a list
// of statements, one an argument, run in order.
//
// It runs on a System, so that the same statements are a real process in a
// container (drivertest/testapp) and a goroutine in an engine that only
// pretends (driver/memory). Nothing outside of tests calls it but that driver.
package script

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// System is what a program may use of the machine that runs it.
type System interface {
	// Env returns the value of an environment variable, or "".
	Env(name string) string
	// Address is what others of the space reach the program at.
	Address() (string, error)
	Stdin() io.Reader
	Stdout() io.Writer
	Listen(port int) (net.Listener, error)
	// Dial opens a TCP connection to host:port.
	Dial(ctx context.Context, address string) (net.Conn, error)
	ReadFile(path string) ([]byte, error)
	WriteFile(path string, content []byte) error
	// Open opens a file and leaves it open.
	Open(path string) (io.Closer, error)
	// Size of the terminal, zero without one.
	Size() (rows, cols int)
	// Resized delivers after each change of Size.
	Resized() <-chan struct{}
	// Terminated is closed at SIGTERM.
	Terminated() <-chan struct{}
}

// Exit codes of a program.
const (
	codeError      = 1   // a statement failed
	codeUsage      = 2   // a statement is not known
	codeTerminated = 143 // SIGTERM
)

// Run runs the statements and returns the exit code. It ends early when ctx
// does (SIGKILL) and, unless the program is deaf, at SIGTERM.
func Run(ctx context.Context, sys System, statements []string) int {
	p := &program{System: sys}
	defer p.close()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	p.terminate = func() { stop(exit(codeTerminated)) }
	p.listenForTerm(ctx)
	for _, s := range statements {
		if err := p.run(ctx, s); err != nil {
			return p.code(ctx, s, err)
		}
	}
	return 0
}

// exit ends the program with a code.
type exit int

func (e exit) Error() string { return "exit " + strconv.Itoa(int(e)) }

type program struct {
	System
	terminate func()
	hear      sync.Once
	deaf      chan struct{} // closed by the statement "deaf"
	mu        sync.Mutex
	open      []io.Closer
	linger    time.Duration // how long it goes on after SIGTERM
}

func (p *program) listenForTerm(ctx context.Context) {
	p.deaf = make(chan struct{})
	go func() {
		select {
		case <-p.deaf:
			return
		case <-ctx.Done():
			return
		case <-p.Terminated():
		}
		p.mu.Lock()
		linger := p.linger
		p.mu.Unlock()
		select {
		case <-time.After(linger):
		case <-ctx.Done():
		}
		p.terminate()
	}()
}

func (p *program) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.open {
		c.Close()
	}
}

func (p *program) keep(c io.Closer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = append(p.open, c)
}

// code is the exit code after a statement failed, which it says on stdout.
func (p *program) code(ctx context.Context, statement string, err error) int {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	var e exit
	if errors.As(err, &e) {
		return int(e)
	}
	fmt.Fprintf(p.Stdout(), "%s: %v\n", statement, err)
	if errors.Is(err, errUnknown) {
		return codeUsage
	}
	return codeError
}

var errUnknown = errors.New("unknown statement")

// run runs one statement: a word, then its arguments.
func (p *program) run(ctx context.Context, statement string) error {
	word, rest, _ := strings.Cut(statement, " ")
	switch word {
	case "say": // TEXT
		return p.say("%s", rest)
	case "env": // NAME
		return p.say("%s=%s", rest, p.Env(rest))
	case "exit": // CODE
		n, err := strconv.Atoi(rest)
		if err != nil {
			return err
		}
		return exit(n)
	case "sleep": // DURATION
		return p.sleep(ctx, rest)
	case "wait": // until SIGTERM
		<-ctx.Done()
		return context.Cause(ctx)
	case "deaf": // does not hear SIGTERM from here on
		p.hear.Do(func() { close(p.deaf) })
		return nil
	case "linger": // DURATION that it goes on after SIGTERM
		d, err := time.ParseDuration(rest)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.linger = d
		return err
	default:
		return p.runIO(ctx, word, rest)
	}
}

// runIO runs the statements that touch files, network and terminal.
func (p *program) runIO(ctx context.Context, word, rest string) error {
	switch word {
	case "serve": // [PORT]: answers each line with "$GREETING LINE"; default $PORT
		return p.serve(rest)
	case "dial": // HOST:PORT, says "dial HOST:PORT ok" or "… refused"
		return p.dial(ctx, rest)
	case "address": // says its own
		a, err := p.Address()
		if err != nil {
			return err
		}
		return p.say("%s", a)
	case "cat": // input to output, line by line, until its end
		return p.cat(ctx)
	case "size": // of the terminal, now and after each change, until SIGTERM
		return p.sizes(ctx)
	case "read": // PATH
		b, err := p.ReadFile(rest)
		if err != nil {
			return err
		}
		return p.say("%s", b)
	case "write": // PATH TEXT
		path, text, _ := strings.Cut(rest, " ")
		return p.WriteFile(path, []byte(text))
	case "hold": // PATH: keeps the file open
		f, err := p.Open(rest)
		if err != nil {
			return err
		}
		p.keep(f)
		return nil
	case "lines": // N lines, as fast as they go
		return p.lines(rest)
	default:
		return fmt.Errorf("%w %q", errUnknown, word)
	}
}

func (p *program) say(format string, args ...any) error {
	_, err := fmt.Fprintf(p.Stdout(), format+"\n", args...)
	return err
}

func (p *program) sleep(ctx context.Context, duration string) error {
	d, err := time.ParseDuration(duration)
	if err != nil {
		return err
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *program) lines(count string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	for i := 1; i <= n; i++ {
		if err := p.say("line %d of %d", i, n); err != nil {
			return err
		}
	}
	return nil
}

func (p *program) serve(port string) error {
	if port == "" {
		port = p.Env("PORT")
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return fmt.Errorf("port %q", port)
	}
	l, err := p.Listen(n)
	if err != nil {
		return err
	}
	p.keep(l)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.answer(c)
		}
	}()
	return nil
}

func (p *program) answer(c net.Conn) {
	defer c.Close()
	in := bufio.NewScanner(c)
	for in.Scan() {
		if _, err := fmt.Fprintf(c, "%s %s\n", p.Env("GREETING"), in.Text()); err != nil {
			return
		}
	}
}

// dialTimeout is long enough for a local connection on a loaded machine; a
// packet that a firewall drops is noticed by it alone.
const dialTimeout = 1500 * time.Millisecond

func (p *program) dial(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c, err := p.Dial(ctx, address)
	if err != nil {
		return p.say("dial %s refused", address)
	}
	c.Close()
	return p.say("dial %s ok", address)
}

func (p *program) cat(ctx context.Context) error {
	done := make(chan error, 1)
	go func() {
		in := bufio.NewScanner(p.Stdin())
		for in.Scan() {
			if err := p.say("%s", in.Text()); err != nil {
				done <- err
				return
			}
		}
		done <- in.Err()
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *program) sizes(ctx context.Context) error {
	for {
		rows, cols := p.Size()
		if err := p.say("size %dx%d", rows, cols); err != nil {
			return err
		}
		select {
		case <-p.Resized():
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
