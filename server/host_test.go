package server_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/server"
)

// ask sends a request under a Host header of its own, none where it is empty, as a browser sends one of a page from there.
func (d *door) ask(t *testing.T, method, path, host, body string) (status int, header http.Header) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(testContext(t), "tcp", d.HTTPAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	head := fmt.Sprintf("%s %s HTTP/1.0\r\nContent-Length: %d\r\n", method, path, len(body))
	if host != "" {
		head += "Host: " + host + "\r\nOrigin: http://" + host + "\r\nSec-Fetch-Site: same-origin\r\n"
	}
	if _, err := conn.Write([]byte(head + "\r\n" + body)); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	return resp.StatusCode, resp.Header
}

func TestOnlyKnownHostsAreServed(t *testing.T) {
	d := open(t, func(c *server.Config) { c.Hosts = []string{"node1.plant", "Node1"} })
	for host, want := range map[string]int{
		"127.0.0.1:7071": 200, "127.0.0.1": 200, "192.168.1.5:80": 200, "[::1]:7071": 200, "[fe80::1]": 200,
		"localhost": 200, "localhost:7071": 200, "LOCALHOST.:7071": 200,
		"node1.plant": 200, "NODE1.plant.:7071": 200, "node1:7071": 200,
		"":             200, // HTTP/1.0, which no browser speaks
		"evil.example": 421, "evil.example:7071": 421, "127.0.0.1.evil.example": 421, "localhost.evil.example": 421, "xnode1.plant": 421,
		"x.node1.plant": 421, "127.1": 421, "[::1].evil.example": 421,
	} {
		if got, _ := d.ask(t, "GET", "/healthz", host, ""); got != want {
			t.Errorf("Host %q: got %d, want %d", host, got, want)
		}
	}
	for _, path := range []string{"/readyz", "/metrics", "/v1/results", "/v1/models", "/v1/activations", "/nowhere"} {
		got, header := d.ask(t, "GET", path, "evil.example", "")
		if got != 421 || header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s of a foreign host: got %d with %v, want 421 and the headers of every answer", path, got, header)
		}
	}
	const act = `{"version":"2","by":"ann"}`
	if got, _ := d.ask(t, "POST", "/v1/models/pair/activate", "evil.example", act); got != 421 || len(d.versions.acts) != 0 {
		t.Errorf("activate for a foreign host: got %d and acts %v, want 421 and none", got, d.versions.acts)
	}
	if got, _ := d.ask(t, "POST", "/v1/models/pair/activate", "node1.plant", act); got != 200 || len(d.versions.acts) != 1 {
		t.Errorf("activate for the node's own name: got %d and acts %v, want 200 and one", got, d.versions.acts)
	}
}

func TestHostsAreNames(t *testing.T) {
	c := server.Default()
	c.Node = "n"
	for _, name := range []string{"", "node1:7071", "http://node1", "node1/", "*", "node 1"} {
		c.Hosts = []string{"node1", name}
		if err := c.Validate(); !errors.Is(err, inspection.ErrInvalid) || !strings.Contains(err.Error(), "listen.hosts") {
			t.Errorf("%q: got %v, want ErrInvalid that names listen.hosts", name, err)
		}
	}
}
