package server_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/assay-vision/assay/server"
)

func socketServer(path string) (*server.Server, error) {
	cfg := server.Default()
	cfg.Node, cfg.GRPCAddress, cfg.HTTPAddress, cfg.Socket = "n", "127.0.0.1:0", "127.0.0.1:0", path
	return server.New(cfg, server.Deps{Desk: &desk{}, Catalog: &catalog{}, Versions: &versions{}, Results: &results{}, Images: pictures{}, Status: &nodeStatus{}})
}

func TestSocketServesBesideTheAddress(t *testing.T) {
	path := filepath.Join(t.TempDir(), "assay.sock")
	// What a killed node leaves behind is replaced.
	left, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	left.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := left.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := socketServer(path)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("socket: %v, %v; want mode 0660", info.Mode(), err)
	}
	for _, target := range []string{"unix://" + path, s.GRPCAddr()} {
		conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := healthgrpc.NewHealthClient(conn).Check(t.Context(), &healthgrpc.HealthCheckRequest{}, grpc.WaitForReady(true)); err != nil {
			t.Errorf("%s: %v", target, err)
		}
		_ = conn.Close()
	}
	if _, err := socketServer(path); err == nil || !strings.Contains(err.Error(), "another node") {
		t.Errorf("a second server on the socket: %v, want an error that says that somebody listens", err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is still there after Close: %v", err)
	}
}

func TestSocketNeverReplacesAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := socketServer(path); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("got %v, want an error that names the file", err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "x" {
		t.Errorf("the file is %q, %v", b, err)
	}
}
