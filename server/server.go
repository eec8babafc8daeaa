package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	"github.com/assay-vision/assay/proto"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// Server listens from New on; Serve answers. It is safe for concurrent use.
type Server struct {
	cfg     Config
	deps    Deps
	log     *slog.Logger
	metrics *metrics
	budget  *budget
	started time.Time

	grpc         *grpc.Server
	http         *http.Server
	grpcListener net.Listener
	socket       net.Listener // nil where there is none
	httpListener net.Listener

	connected connected

	streams  atomic.Int64 // camera streams that said Hello
	inFlight atomic.Int64 // frames without an answer

	draining  chan struct{} // closed when Close begins
	drainOnce sync.Once
	tasks     sync.WaitGroup // goroutines that may outlive the call that started them
}

// errDraining ends streams of a node that shuts down, so that their cameras go elsewhere.
var errDraining = status.Error(codes.Unavailable, "the node is shutting down: go to another address")

// New validates cfg, listens on both addresses and returns a server that is ready to Serve. Close must be called, also
// when Serve never was.
func New(cfg Config, deps Deps) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := deps.complete(); err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, deps: deps, log: deps.Log, budget: newBudget(cfg.InFlightBytes), started: time.Now(), draining: make(chan struct{}),
	}
	var err error
	if s.grpcListener, err = listen("grpc", cfg.GRPCAddress); err != nil {
		return nil, err
	}
	if s.httpListener, err = listen("http", cfg.HTTPAddress); err != nil {
		return nil, errors.Join(err, s.grpcListener.Close())
	}
	if cfg.Socket != "" {
		if s.socket, err = listenSocket(cfg.Socket); err != nil {
			return nil, errors.Join(err, s.grpcListener.Close(), s.httpListener.Close())
		}
	}
	s.metrics = newMetrics(deps.Registerer, func() float64 { return float64(s.budget.inUse()) })
	s.grpc = grpc.NewServer(append(proto.ServerOptions(cfg.MaxFrameBytes, MaxMessageBytes), transport(cfg)...)...)
	s.register()
	s.http = &http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      2 * time.Minute, // an image of the largest size over a slow line
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	return s, nil
}

// transport bounds what one connection may do, and finds out within half a minute that a camera is gone.
func transport(cfg Config) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxConcurrentStreams(uint32(cfg.MaxStreams)),
		grpc.MaxHeaderListSize(16 << 10),
		grpc.ConnectionTimeout(10 * time.Second),
		grpc.WaitForHandlers(true), // Close returns when nothing of ours runs any more
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 20 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
	}
}

func (s *Server) register() {
	assayv1.RegisterInspectionServiceServer(s.grpc, &inspectionService{srv: s})
	assayv1.RegisterResultServiceServer(s.grpc, &resultService{srv: s})
	assayv1.RegisterModelServiceServer(s.grpc, &modelService{srv: s})
	assayv1.RegisterRecipeServiceServer(s.grpc, &recipeService{srv: s})
	assayv1.RegisterNodeServiceServer(s.grpc, &nodeService{srv: s})
	healthgrpc.RegisterHealthServer(s.grpc, &healthService{srv: s})
	reflection.Register(s.grpc)
}

// GRPCAddr returns the address on which gRPC listens, with the port that was taken.
func (s *Server) GRPCAddr() string { return s.grpcListener.Addr().String() }

// HTTPAddr returns the address on which HTTP listens, with the port that was taken.
func (s *Server) HTTPAddr() string { return s.httpListener.Addr().String() }

func (s *Server) grpcListeners() []net.Listener {
	if s.socket == nil {
		return []net.Listener{s.grpcListener}
	}
	return []net.Listener{s.grpcListener, s.socket}
}

// Serve answers until Close, then returns nil; or until a listener fails, then Close is still to be called.
func (s *Server) Serve() error {
	g, ctx := errgroup.WithContext(context.Background())
	for _, lis := range s.grpcListeners() {
		g.Go(func() error {
			if err := s.grpc.Serve(lis); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
				return fmt.Errorf("serve grpc: %w", err)
			}
			return nil
		})
	}
	g.Go(func() error {
		if err := s.http.Serve(s.httpListener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve http: %w", err)
		}
		return nil
	})
	g.Go(func() error { // one that fails takes the others with it
		select {
		case <-s.draining:
		case <-ctx.Done():
			s.grpc.Stop()
			return s.http.Close()
		}
		return nil
	})
	return g.Wait()
}

// Close takes no more frames, answers those that were taken, and ends streams with UNAVAILABLE. When ctx ends before all
// is answered it ends the rest at once. It may be called more than once.
func (s *Server) Close(ctx context.Context) error {
	s.drainOnce.Do(func() { close(s.draining) })
	stopped := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(stopped)
	}()
	select {
	case <-stopped:
	case <-ctx.Done():
		s.grpc.Stop()
		<-stopped
	}
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("close http: %w", err), s.http.Close())
	}
	s.tasks.Wait()
	// A server that never served does not own its listeners yet.
	for _, lis := range append(s.grpcListeners(), s.httpListener) {
		if cerr := lis.Close(); cerr != nil && !errors.Is(cerr, net.ErrClosed) {
			err = errors.Join(err, cerr)
		}
	}
	return err
}

// untilDrained returns a context that ends when ctx does or when Close begins.
func (s *Server) untilDrained(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	s.tasks.Go(func() {
		select {
		case <-s.draining:
			cancel(errDraining)
		case <-ctx.Done():
		}
	})
	return ctx, func() { cancel(context.Canceled) }
}
