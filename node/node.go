package node

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/assay-vision/assay/custody"
	"github.com/assay-vision/assay/inference"
	"github.com/assay-vision/assay/inference/imaging"
	"github.com/assay-vision/assay/inference/ort"
	"github.com/assay-vision/assay/server"
	"github.com/assay-vision/assay/store"
)

// drainTime bounds how long a node that was told to stop goes on answering what it has taken.
const drainTime = 30 * time.Second

// Node is one running node. Its rooms are joined in New and closed in reverse in Close.
type Node struct {
	cfg     Config
	version string
	log     *slog.Logger
	reg     *prometheus.Registry

	store   *store.Store
	images  *store.Images
	runtime *ort.Runtime
	engine  *inference.Engine
	desk    *custody.Desk
	catalog *catalog
	server  *server.Server

	opened  []func(context.Context) error // what Close runs, in reverse
	closing sync.Once
	closed  error
}

// New opens the data directory, loads ONNX Runtime and listens. Recipes are loaded by Run; the node answers once their files
// are read, and frames wait for their models while they may. Errors name what to do. Close must be called.
func New(ctx context.Context, cfg Config, version string, log *slog.Logger) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := cfg.checkDirs(); err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, version: version, log: log, reg: prometheus.NewRegistry()}
	n.reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, open := range []func(context.Context) error{n.openStore, n.openEngine, n.openDesk, n.openServer} {
		if err := open(ctx); err != nil {
			return nil, errors.Join(err, n.Close(context.WithoutCancel(ctx))) // ctx may be why it failed
		}
	}
	return n, nil
}

func (n *Node) openStore(ctx context.Context) error {
	st, err := store.Open(ctx, store.Config{Dir: n.cfg.Node.DataDir}, n.log, n.reg)
	if err != nil {
		return err
	}
	n.store = st
	n.onClose(func(context.Context) error { return st.Close() })
	c := n.cfg.Images
	images, err := store.NewImages(ctx, store.ImagesConfig{
		PassDays: c.PassDays, Days: c.Days, Budget: int64(c.Budget), MinFree: int64(c.MinFree),
	}, st, n.log, n.reg)
	if err != nil {
		return err
	}
	n.images = images
	n.onClose(func(context.Context) error { return images.Close() })
	return nil
}

func (n *Node) openEngine(context.Context) error {
	repo, err := openModels(n.cfg)
	if err != nil {
		return err
	}
	n.runtime, err = ort.New(ort.Config{Library: n.cfg.Models.OnnxRuntime, RefuseFallback: n.cfg.Models.OnMissingProvider == "refuse"}, n.log, n.reg)
	if err != nil {
		return err
	}
	n.onClose(func(context.Context) error { return n.runtime.Close() })
	c := n.cfg.Inference
	n.engine, err = inference.New(inference.Config{
		Threads: c.Threads, Queue: c.Queue, MaxBatchDelay: c.MaxBatchDelay,
		Planning: inference.Planning{Measure: c.Measure, Dir: filepath.Join(n.cfg.Node.DataDir, "plans"), Library: "onnxruntime " + n.runtime.Version()},
		Image:    imaging.Limits{MaxPixels: n.cfg.Limits.FramePixels, MaxBytes: int(n.cfg.Limits.FrameBytes)},
	}, n.runtime, repo, n.cfg.Name(), n.log, n.reg)
	if err != nil {
		return err
	}
	n.onClose(func(context.Context) error { return n.engine.Close() })
	n.catalog, err = newCatalog(n.engine, repo, n.store, n.cfg.Recipes.Dir, n.log)
	return err
}

func (n *Node) openDesk(context.Context) error {
	dc := custody.Default()
	c := n.cfg.Custody
	dc.Node, dc.InFlight, dc.PoisonAttempts, dc.CommitGroup, dc.KeepSimulated = n.cfg.Name(), c.InFlight, c.PoisonAttempts, c.CommitGroup, n.cfg.Images.KeepSimulated
	desk, err := custody.New(dc, patient{n.engine, n.catalog}, withFailpoint(n.store), pictures{n.images}, n.log, n.reg)
	if err != nil {
		return err
	}
	n.desk = desk
	n.onClose(desk.Close)
	return nil
}

// pictures lets the desk hand images to the store.
type pictures struct{ *store.Images }

func (p pictures) Keep(c custody.Picture) { p.Images.Keep(store.Picture(c)) }

func (n *Node) openServer(context.Context) error {
	sc := server.Default()
	l := n.cfg.Limits
	sc.Node, sc.GRPCAddress, sc.Socket, sc.HTTPAddress, sc.Insecure = n.cfg.Name(), n.cfg.Listen.GRPC, n.cfg.Listen.Socket, n.cfg.Listen.HTTP, n.cfg.Listen.Insecure
	sc.Pprof, sc.Hosts = n.cfg.Listen.Pprof, n.cfg.Listen.hosts()
	sc.MaxFrameBytes, sc.MaxPixels, sc.Credits, sc.InFlightBytes, sc.MaxStreams = int(l.FrameBytes), int64(l.FramePixels), l.StreamCredits, int64(l.InFlightBytes), l.Streams
	srv, err := server.New(sc, server.Deps{
		Desk: n.desk, Catalog: n.catalog, Versions: n.catalog, Results: n.store, Images: n.images, Status: n, Log: n.log, Registerer: n.reg, Gatherer: n.reg,
	})
	if err != nil {
		return err
	}
	n.server = srv
	n.onClose(srv.Close)
	return nil
}

func (n *Node) onClose(f func(context.Context) error) { n.opened = append(n.opened, f) }

// GRPCAddr returns the address on which the node takes frames and calls.
func (n *Node) GRPCAddr() string { return n.server.GRPCAddr() }

// HTTPAddr returns the address of probes, metrics and images.
func (n *Node) HTTPAddr() string { return n.server.HTTPAddr() }

// Run reads the recipes, then serves until ctx ends or a listener fails; it loads their models and follows their files
// meanwhile. It is called once, and has returned before Close is called.
func (n *Node) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer stop()
	n.log.Info("node is up", "node", n.cfg.Name(), "version", n.version, "grpc", n.GRPCAddr(), "http", n.HTTPAddr(), "data", n.cfg.Node.DataDir)
	work.Go(func() { n.catalog.run(ctx, n.cfg.Recipes.ScanEvery) })
	// A camera that waits at the door is told of the recipes, or its first frames would have none.
	select {
	case <-n.catalog.entered:
	case <-ctx.Done():
		return nil
	}
	served := make(chan error, 1)
	work.Go(func() { served <- n.server.Serve() }) //nolint:contextcheck // Close ends it, when what is in flight is answered
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	n.log.Info("draining: frames that are in are answered", "at_most", drainTime)
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	return n.server.Close(drain)
}

// Close closes the rooms in the reverse order of their opening. It may be called again.
func (n *Node) Close(ctx context.Context) error {
	n.closing.Do(func() {
		var errs []error
		for i := len(n.opened) - 1; i >= 0; i-- {
			errs = append(errs, n.opened[i](ctx))
		}
		n.closed = errors.Join(errs...)
	})
	return n.closed
}

// Run is a node's whole life in a process of its own: New, Run until ctx ends, Close.
func Run(ctx context.Context, cfg Config, version string, log *slog.Logger) error {
	cfg.Inference.Threads = Settle(cfg.Inference.Threads, log)
	n, err := New(ctx, cfg, version, log)
	if err != nil {
		return err
	}
	err = n.Run(ctx)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	return errors.Join(err, n.Close(end))
}
