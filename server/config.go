package server

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/assay-vision/assay/inspection"
)

// Config says where the server listens and what clients may ask of it.
type Config struct {
	Node        string   // the node's name, as clients see it; required
	GRPCAddress string   // host:port for cameras, MES and the command line; port 0 takes a free one
	Socket      string   // path of a Unix socket on which gRPC is served too, for cameras on the same host; empty: none
	HTTPAddress string   // host:port for probes, metrics, pictures and results; port 0 takes a free one
	Hosts       []string // names beside localhost by which clients ask for the HTTP side; other names are refused, addresses are not
	Pprof       bool     // serve Go's profiles under /debug/pprof/ of the HTTP side
	Insecure    bool     // allow addresses other than loopback although there is no authentication; false refuses them
	Peers       []string // other addresses of the same service, told to cameras in this order

	MaxFrameBytes int   // largest message of a camera's stream, in bytes; must be positive
	MaxPixels     int64 // most pixels of an image, announced to cameras; the engine enforces it; must be positive
	Credits       int   // frames that one stream may have without an answer; must be positive
	InFlightBytes int64 // image bytes of whole frames held over all streams, beyond which streams are not read; at least MaxFrameBytes
	MaxStreams    int   // streams that one connection may have open; must be positive

	HelloTimeout time.Duration // how long a camera's stream may be open without Hello; must be positive
	PollInterval time.Duration // how often the readiness of recipes is looked at for those who watch their health; must be positive
}

// MaxMessageBytes is the largest message of every service but InspectionService, in bytes.
const MaxMessageBytes = 4 << 20

// Default is what we would deploy on one machine. Node is left to be set.
func Default() Config {
	return Config{
		GRPCAddress: "127.0.0.1:7070", HTTPAddress: "127.0.0.1:7071",
		MaxFrameBytes: 64 << 20, MaxPixels: 128 << 20, Credits: 8, InFlightBytes: 256 << 20, MaxStreams: 1024,
		HelloTimeout: 10 * time.Second, PollInterval: time.Second,
	}
}

// Validate names the first field that cannot work, with the remedy.
func (c Config) Validate() error {
	invalid := func(format string, args ...any) error {
		return fmt.Errorf("%w: server: "+format, append([]any{inspection.ErrInvalid}, args...)...)
	}
	switch {
	case c.Node == "":
		return invalid("Node is empty: name the node")
	case c.MaxFrameBytes < 1<<10 || c.MaxFrameBytes > 1<<30:
		return invalid("MaxFrameBytes is %d: give 1 KiB to 1 GiB", c.MaxFrameBytes)
	case c.MaxPixels < 1:
		return invalid("MaxPixels is %d: give at least 1", c.MaxPixels)
	case c.Credits < 1 || c.Credits > 1<<16:
		return invalid("Credits is %d: give 1 to 65536", c.Credits)
	case c.InFlightBytes < int64(c.MaxFrameBytes):
		return invalid("InFlightBytes is %d, less than MaxFrameBytes %d: one frame must fit", c.InFlightBytes, c.MaxFrameBytes)
	case c.MaxStreams < 1:
		return invalid("MaxStreams is %d: give at least 1", c.MaxStreams)
	case c.HelloTimeout <= 0 || c.PollInterval <= 0:
		return invalid("HelloTimeout is %v and PollInterval %v: both must be positive", c.HelloTimeout, c.PollInterval)
	}
	for _, name := range c.Hosts {
		if name == "" || strings.ContainsAny(name, ":/* ") {
			return invalid("Hosts: %q is no name: write it in listen.hosts without scheme, port or *, such as node1.plant", name)
		}
	}
	for _, a := range [...]struct{ name, address string }{{"GRPCAddress", c.GRPCAddress}, {"HTTPAddress", c.HTTPAddress}} {
		host, _, err := net.SplitHostPort(a.address)
		if err != nil {
			return invalid("%s %q is not host:port, such as 127.0.0.1:7070", a.name, a.address)
		}
		if !c.Insecure && !loopback(host) {
			return invalid("%s %q can be reached from other machines, and there is no authentication: listen on 127.0.0.1, or "+
				"allow it with --insecure (listen.insecure) on a network where everybody may send frames and read results", a.name, a.address)
		}
	}
	return nil
}

// loopback reports whether only this machine reaches the host. Names are looked up by others, so only one is trusted.
func loopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// listenSocket opens a Unix socket that the owner's group may use. A file that a node left behind when it was killed is
// replaced; one on which somebody listens is not.
func listenSocket(path string) (net.Listener, error) {
	lis, err := net.Listen("unix", path)
	if errors.Is(err, syscall.EADDRINUSE) {
		if conn, dialErr := net.Dial("unix", path); dialErr == nil {
			_ = conn.Close()
			return nil, fmt.Errorf("listen on socket %s: somebody listens there: is another node running? Stop it, or give another path in listen.socket", path)
		}
		info, statErr := os.Lstat(path)
		if statErr != nil || info.Mode().Type() != os.ModeSocket {
			return nil, fmt.Errorf("listen on socket %s: there is a file that is no socket: remove it, or give another path in listen.socket", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("remove the socket that was left behind: %w", err)
		}
		lis, err = net.Listen("unix", path)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on listen.socket: %w", err)
	}
	if err := os.Chmod(path, 0o660); err != nil {
		return nil, errors.Join(fmt.Errorf("let the group use the socket: %w", err), lis.Close())
	}
	return lis, nil
}

// listen opens a TCP port; the error of a port in use says what to do.
func listen(what, address string) (net.Listener, error) {
	lis, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("listen for %s on %s: the port is in use: is another node running? "+
			"Stop it (`ss -ltnp` shows which program has the port), or give another port in listen.%s", what, address, what)
	case err != nil:
		return nil, fmt.Errorf("listen for %s: %w", what, err)
	}
	return lis, nil
}
