package server_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/server"
)

func TestConfigValidate(t *testing.T) {
	good := server.Default()
	good.Node = "n"
	if err := good.Validate(); err != nil {
		t.Fatalf("the default: %v", err)
	}
	for name, tc := range map[string]struct {
		change func(*server.Config)
		text   string
	}{
		"no node":         {func(c *server.Config) { c.Node = "" }, "Node is empty"},
		"frame bytes":     {func(c *server.Config) { c.MaxFrameBytes = 0 }, "MaxFrameBytes is 0"},
		"pixels":          {func(c *server.Config) { c.MaxPixels = 0 }, "MaxPixels is 0"},
		"credits":         {func(c *server.Config) { c.Credits = 0 }, "Credits is 0"},
		"bytes in flight": {func(c *server.Config) { c.InFlightBytes = 1 << 20 }, "one frame must fit"},
		"streams":         {func(c *server.Config) { c.MaxStreams = 0 }, "MaxStreams is 0"},
		"hello":           {func(c *server.Config) { c.HelloTimeout = 0 }, "HelloTimeout is 0s"},
		"no port":         {func(c *server.Config) { c.GRPCAddress = "localhost" }, "GRPCAddress \"localhost\" is not host:port"},
		"all interfaces":  {func(c *server.Config) { c.GRPCAddress = ":7070" }, "--insecure"},
		"any address":     {func(c *server.Config) { c.HTTPAddress = "0.0.0.0:0" }, "HTTPAddress \"0.0.0.0:0\" can be reached"},
		"a LAN address":   {func(c *server.Config) { c.HTTPAddress = "192.168.1.5:7071" }, "--insecure"},
		"a name":          {func(c *server.Config) { c.GRPCAddress = "node.plant:7070" }, "--insecure"},
	} {
		c := good
		tc.change(&c)
		if err := c.Validate(); !errors.Is(err, inspection.ErrInvalid) || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%s: got %v, want ErrInvalid that says %q", name, err, tc.text)
		}
	}
	for _, address := range []string{"127.0.0.1:0", "127.8.8.8:1", "[::1]:0", "localhost:0"} {
		c := good
		c.GRPCAddress = address
		if err := c.Validate(); err != nil {
			t.Errorf("%s: got %v, want it taken", address, err)
		}
	}
	open := good
	open.Insecure, open.GRPCAddress = true, ":7070"
	if err := open.Validate(); err != nil {
		t.Errorf("insecure: got %v, want every address taken", err)
	}
}

func TestNewNeedsDeps(t *testing.T) {
	cfg := server.Default()
	cfg.Node, cfg.GRPCAddress, cfg.HTTPAddress = "n", "127.0.0.1:0", "127.0.0.1:0"
	if _, err := server.New(cfg, server.Deps{}); !errors.Is(err, inspection.ErrInvalid) || !strings.Contains(err.Error(), "Deps.Desk") {
		t.Errorf("got %v, want ErrInvalid that names what is missing", err)
	}
}

func TestPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	deps := server.Deps{Desk: &desk{}, Catalog: &catalog{}, Versions: &versions{}, Results: &results{}, Images: pictures{}, Status: &nodeStatus{}}
	for _, what := range []string{"grpc", "http"} {
		cfg := server.Default()
		cfg.Node, cfg.GRPCAddress, cfg.HTTPAddress = "n", "127.0.0.1:0", "127.0.0.1:0"
		if what == "grpc" {
			cfg.GRPCAddress = taken.Addr().String()
		} else {
			cfg.HTTPAddress = taken.Addr().String()
		}
		_, err := server.New(cfg, deps)
		if err == nil || !strings.Contains(err.Error(), taken.Addr().String()) || !strings.Contains(err.Error(), "listen."+what) {
			t.Errorf("%s: got %v, want an error that names the address and the setting", what, err)
		}
	}
}

// A server that never served gives its ports back, and Close may be called twice.
func TestCloseWithoutServe(t *testing.T) {
	cfg := server.Default()
	cfg.Node, cfg.GRPCAddress, cfg.HTTPAddress = "n", "127.0.0.1:0", "127.0.0.1:0"
	srv, err := server.New(cfg, server.Deps{Desk: &desk{}, Catalog: &catalog{}, Versions: &versions{}, Results: &results{}, Images: pictures{}, Status: &nodeStatus{}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := srv.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	for _, address := range []string{srv.GRPCAddr(), srv.HTTPAddr()} {
		lis, err := net.Listen("tcp", address)
		if err != nil {
			t.Errorf("%s is still in use: %v", address, err)
			continue
		}
		_ = lis.Close()
	}
}
