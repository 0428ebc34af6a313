package remote

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
)

// maxAnswer bounds an answer's JSON; an observation of thousands of instances
// is a few megabytes.
const maxAnswer = 64 << 20

// Client is a driver at the other end of a socket.
type Client struct {
	socket string
	http   *http.Client
}

var _ driver.Driver = (*Client)(nil)

// Dial returns a driver that talks to Serve on a unix socket. Nothing is
// connected before the first call, and each call tries anew, so an engine that
// is started again is found again.
func Dial(socket string) *Client {
	c := &Client{socket: socket}
	c.http = &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return c.connect(ctx) },
	}}
	return c
}

// Close drops idle connections.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

func (c *Client) connect(ctx context.Context) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "unix", c.socket)
}

func unavailable(ctx context.Context, err error) error {
	return ctxErr(ctx, fault.Wrap(fault.Unavailable, err, "The engine does not answer."))
}

// send makes a request and returns the body of a good answer.
func (c *Client) send(ctx context.Context, name string, query url.Values, body io.Reader) (*http.Response, error) {
	target := url.URL{Scheme: "http", Host: "engine", Path: "/" + name, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), body)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, unavailable(ctx, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, readError(resp)
}

func readError(resp *http.Response) error {
	var w wireError
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxBody)).Decode(&w); err != nil {
		return fmt.Errorf("engine: %s", resp.Status)
	}
	return w.err()
}

func invoke[Out any](ctx context.Context, c *Client, name string, in any) (out Out, err error) {
	b, err := json.Marshal(in)
	if err != nil {
		return out, err
	}
	resp, err := c.send(ctx, name, nil, bytes.NewReader(b))
	if err != nil {
		return out, err
	}
	return readAnswer[Out](ctx, resp)
}

func readAnswer[Out any](ctx context.Context, resp *http.Response) (out Out, err error) {
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&out); err != nil {
		return out, unavailable(ctx, err)
	}
	return out, nil
}

func (c *Client) tell(ctx context.Context, name string, in any) error {
	_, err := invoke[none](ctx, c, name, in)
	return err
}

// Capabilities implements driver.Driver.
func (c *Client) Capabilities(ctx context.Context) (driver.Capabilities, error) {
	return invoke[driver.Capabilities](ctx, c, "capabilities", none{})
}

// Observe implements driver.Driver.
func (c *Client) Observe(ctx context.Context) (driver.Observation, error) {
	return invoke[driver.Observation](ctx, c, "observe", none{})
}

// Survey implements driver.Driver.
func (c *Client) Survey(ctx context.Context, area string) (*driver.Survey, error) {
	return invoke[*driver.Survey](ctx, c, "survey", surveyCall{area})
}

// EnsureSpace implements driver.Driver.
func (c *Client) EnsureSpace(ctx context.Context, s driver.Space) error {
	return c.tell(ctx, "ensure-space", s)
}

// RemoveSpace implements driver.Driver.
func (c *Client) RemoveSpace(ctx context.Context, id string) error {
	return c.tell(ctx, "remove-space", byID{id})
}

// RemoveLogs implements driver.Driver.
func (c *Client) RemoveLogs(ctx context.Context, space string) error {
	return c.tell(ctx, "remove-logs", byID{space})
}

// ImportImage implements driver.Driver.
func (c *Client) ImportImage(ctx context.Context, archive io.Reader) (string, error) {
	resp, err := c.send(ctx, "import-image", nil, io.NopCloser(archive))
	if err != nil {
		return "", err
	}
	done, err := readAnswer[imported](ctx, resp)
	return done.Digest, err
}

// EnsureVolume implements driver.Driver.
func (c *Client) EnsureVolume(ctx context.Context, v driver.Volume) error {
	return c.tell(ctx, "ensure-volume", v)
}

// LockVolume implements driver.Driver.
func (c *Client) LockVolume(ctx context.Context, id string) error {
	return c.tell(ctx, "lock-volume", byID{id})
}

// DestroyVolume implements driver.Driver.
func (c *Client) DestroyVolume(ctx context.Context, id string) (driver.Disposal, error) {
	return invoke[driver.Disposal](ctx, c, "destroy-volume", byID{id})
}

// PutFiles implements driver.Driver.
func (c *Client) PutFiles(ctx context.Context, volume, dir string, archive io.Reader) error {
	resp, err := c.send(ctx, "put-files", url.Values{"volume": {volume}, "dir": {dir}}, io.NopCloser(archive))
	if err != nil {
		return err
	}
	_, err = readAnswer[none](ctx, resp)
	return err
}

// GetFiles implements driver.Driver. The reader ends with an error if the
// stream was not whole.
func (c *Client) GetFiles(ctx context.Context, volume, dir string) (io.ReadCloser, error) {
	resp, err := c.send(ctx, "get-files", url.Values{"volume": {volume}, "dir": {dir}}, nil)
	if err != nil {
		return nil, err
	}
	return &body{resp}, nil
}

// ApplyFormation implements driver.Driver.
func (c *Client) ApplyFormation(ctx context.Context, f driver.Formation) error {
	return c.tell(ctx, "apply-formation", f)
}

// RemoveFormation implements driver.Driver.
func (c *Client) RemoveFormation(ctx context.Context, id string) error {
	return c.tell(ctx, "remove-formation", byID{id})
}

// StopInstance implements driver.Driver.
func (c *Client) StopInstance(ctx context.Context, instance string) error {
	return c.tell(ctx, "stop-instance", byID{instance})
}

// StartTask implements driver.Driver.
func (c *Client) StartTask(ctx context.Context, t driver.Task) (driver.Session, error) {
	conn, in, err := c.upgrade(ctx, "start-task", t)
	if err != nil {
		return nil, err
	}
	return newSession(conn, in), nil
}

// StopTask implements driver.Driver.
func (c *Client) StopTask(ctx context.Context, id string) error {
	return c.tell(ctx, "stop-task", byID{id})
}

// Exec implements driver.Driver.
func (c *Client) Exec(ctx context.Context, e driver.Exec) (driver.Session, error) {
	conn, in, err := c.upgrade(ctx, "exec", e)
	if err != nil {
		return nil, err
	}
	return newSession(conn, in), nil
}

// Dial implements driver.Driver.
func (c *Client) Dial(ctx context.Context, formation string, port int) (io.ReadWriteCloser, error) {
	conn, in, err := c.upgrade(ctx, "dial", dialCall{Formation: formation, Port: port})
	if err != nil {
		return nil, err
	}
	return &stream{Conn: conn, in: in}, nil
}

// ApplyRoutes implements driver.Driver.
func (c *Client) ApplyRoutes(ctx context.Context, r driver.Routes) error {
	return c.tell(ctx, "apply-routes", r)
}

// Logs implements driver.Driver.
func (c *Client) Logs(ctx context.Context, q driver.LogQuery) (io.ReadCloser, error) {
	b, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	resp, err := c.send(ctx, "logs", nil, bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return &body{resp}, nil
}

// upgrade makes a call whose connection then carries a stream.
func (c *Client) upgrade(ctx context.Context, name string, in any) (net.Conn, io.Reader, error) {
	b, err := json.Marshal(in)
	if err != nil {
		return nil, nil, err
	}
	conn, err := c.connect(ctx)
	if err != nil {
		return nil, nil, unavailable(ctx, err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	resp, r, err := handshake(conn, name, b)
	switch {
	case !stop() && ctx.Err() != nil:
		err = ctx.Err()
	case err != nil:
		err = unavailable(ctx, err)
	case resp.StatusCode != http.StatusSwitchingProtocols:
		err = readError(resp)
	default:
		return conn, r, nil
	}
	conn.Close()
	return nil, nil, err
}

func handshake(conn net.Conn, name string, body []byte) (*http.Response, *bufio.Reader, error) {
	req, err := http.NewRequest(http.MethodPost, "http://engine/"+name, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", upgrade)
	if err := req.Write(conn); err != nil {
		return nil, nil, err
	}
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, req)
	return resp, r, err
}

// stream is an upgraded connection; some of it may be buffered already.
type stream struct {
	net.Conn
	in io.Reader
}

func (s *stream) Read(b []byte) (int, error) { return s.in.Read(b) }

func (s *stream) CloseWrite() error { return s.Conn.(*net.UnixConn).CloseWrite() }

// body is a streamed answer that turns an error in the trailer into its own.
type body struct{ resp *http.Response }

func (b *body) Read(p []byte) (int, error) {
	n, err := b.resp.Body.Read(p)
	if err != io.EOF {
		return n, err
	}
	if t := b.resp.Trailer.Get(faultTrailer); t != "" {
		var w wireError
		if json.Unmarshal([]byte(t), &w) == nil {
			return n, w.err()
		}
	}
	return n, io.EOF
}

func (b *body) Close() error { return b.resp.Body.Close() }
