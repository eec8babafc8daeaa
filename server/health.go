package server

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// healthRecipe is what the name of a recipe's health service begins with.
const healthRecipe = "recipe/"

// healthService answers grpc.health.v1: the service "" is the node, "recipe/<name>" is SERVING only while that recipe's
// model is warm.
type healthService struct {
	healthgrpc.UnimplementedHealthServer
	srv *Server
}

func (g *healthService) Check(ctx context.Context, r *healthgrpc.HealthCheckRequest) (*healthgrpc.HealthCheckResponse, error) {
	st := g.srv.health(ctx, r.GetService())
	if st == healthgrpc.HealthCheckResponse_SERVICE_UNKNOWN {
		return nil, status.Errorf(codes.NotFound, `unknown service: ask for "" or for %q and a recipe's name`, healthRecipe)
	}
	return &healthgrpc.HealthCheckResponse{Status: st}, nil
}

func (g *healthService) List(ctx context.Context, _ *healthgrpc.HealthListRequest) (*healthgrpc.HealthListResponse, error) {
	all := map[string]*healthgrpc.HealthCheckResponse{"": {Status: g.srv.health(ctx, "")}}
	for _, r := range g.srv.deps.Catalog.Recipes() {
		name := healthRecipe + r.Recipe.Name
		all[name] = &healthgrpc.HealthCheckResponse{Status: g.srv.health(ctx, name)}
	}
	return &healthgrpc.HealthListResponse{Statuses: all}, nil
}

// Watch sends the state now and each time that it changes.
func (g *healthService) Watch(r *healthgrpc.HealthCheckRequest, stream grpc.ServerStreamingServer[healthgrpc.HealthCheckResponse]) error {
	tick := time.NewTicker(g.srv.cfg.PollInterval)
	defer tick.Stop()
	last := healthgrpc.HealthCheckResponse_ServingStatus(-1)
	for {
		drained := g.srv.isDraining()
		if now := g.srv.health(stream.Context(), r.GetService()); now != last {
			if err := stream.Send(&healthgrpc.HealthCheckResponse{Status: now}); err != nil {
				return err
			}
			last = now
		}
		if drained {
			return errDraining
		}
		select {
		case <-tick.C:
		case <-g.srv.draining:
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		}
	}
}

func (s *Server) health(ctx context.Context, service string) healthgrpc.HealthCheckResponse_ServingStatus {
	serving := map[bool]healthgrpc.HealthCheckResponse_ServingStatus{
		true: healthgrpc.HealthCheckResponse_SERVING, false: healthgrpc.HealthCheckResponse_NOT_SERVING,
	}
	if service == "" {
		return serving[s.status(ctx).Ready]
	}
	if name, ok := strings.CutPrefix(service, healthRecipe); ok {
		for _, r := range s.deps.Catalog.Recipes() {
			if r.Recipe.Name == name {
				return serving[r.Ready && !s.isDraining()]
			}
		}
	}
	return healthgrpc.HealthCheckResponse_SERVICE_UNKNOWN
}
