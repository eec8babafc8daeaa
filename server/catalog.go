package server

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/assay-vision/assay/inspection"
	"github.com/assay-vision/assay/proto"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

type modelService struct {
	assayv1.UnimplementedModelServiceServer
	srv *Server
}

func (g *modelService) ListModels(context.Context, *assayv1.ListModelsRequest) (*assayv1.ListModelsResponse, error) {
	resp := &assayv1.ListModelsResponse{}
	for _, m := range g.srv.deps.Catalog.Models() {
		resp.Models = append(resp.Models, fromModel(m))
	}
	return resp, nil
}

func (g *modelService) GetModel(ctx context.Context, r *assayv1.GetModelRequest) (*assayv1.GetModelResponse, error) {
	if err := named(r.GetName(), r.GetVersion()); err != nil {
		return nil, g.srv.fail(ctx, "GetModel", err)
	}
	m, manifest, err := g.srv.deps.Catalog.Model(r.GetName(), r.GetVersion())
	if err != nil {
		return nil, g.srv.fail(ctx, "GetModel", fmt.Errorf("model %q: %w", r.GetName(), err))
	}
	return &assayv1.GetModelResponse{Model: fromModel(m), Manifest: manifest}, nil
}

func (g *modelService) ProfileModel(ctx context.Context, r *assayv1.ProfileModelRequest) (*assayv1.ProfileModelResponse, error) {
	if err := named(r.GetName(), r.GetVersion()); err != nil {
		return nil, g.srv.fail(ctx, "ProfileModel", err)
	}
	p, err := g.srv.deps.Catalog.ProfileModel(ctx, r.GetName(), r.GetVersion(), r.GetMeasure())
	if err != nil {
		return nil, g.srv.fail(ctx, "ProfileModel", fmt.Errorf("model %q: %w", r.GetName(), err))
	}
	out := &assayv1.ProfileModelResponse{
		Model: proto.FromModelRef(p.Model), Device: p.Device, Throughput: fromPoint(p.Throughput), Measured: proto.FromTime(p.Measured),
		Took: durationpb.New(p.Took), Cached: p.Cached, Complete: p.Complete, Loaded: p.Loaded, Waits: p.Waits,
		DriftRatio: p.DriftRatio, Drifted: p.Drifted, Narrow: fromEstimate(p.Narrow), Wide: fromEstimate(p.Wide),
	}
	for _, q := range p.Surface {
		out.Surface = append(out.Surface, fromPoint(q))
	}
	if p.Idle != nil {
		out.Idle = fromPoint(*p.Idle)
	}
	return out, nil
}

func fromPoint(p ProfilePoint) *assayv1.ProfilePoint {
	return &assayv1.ProfilePoint{
		Variant: p.Variant, Threads: int32(p.Threads), Callers: int32(p.Callers), Batch: int32(p.Batch),
		Median: durationpb.New(p.Median), P99: durationpb.New(p.P99), SamplesPerSecond: p.Rate, Runs: int32(p.Runs),
	}
}

func fromEstimate(e RunEstimate) *assayv1.RunEstimate {
	return &assayv1.RunEstimate{Runs: int64(e.Runs), Mean: durationpb.New(e.Mean), P99: durationpb.New(e.P99)}
}

// named checks the name of a recipe or a model, and its version.
func named(name, version string) error {
	if name == "" {
		return fmt.Errorf("%w: name is empty", inspection.ErrInvalid)
	}
	if err := inspection.ValidName("name", name); err != nil {
		return err
	}
	return inspection.ValidName("version", version)
}

func fromModel(m ModelStatus) *assayv1.Model {
	out := &assayv1.Model{
		Ref: proto.FromModelRef(m.Ref), Task: m.Task, Description: m.Description, Labels: m.Labels, Decoder: m.Decoder,
		Active: m.Active, State: fromModelState(m.State), Message: m.Message, Provider: m.Provider, ProvidersWanted: m.ProvidersWanted,
	}
	for _, n := range m.BatchSizes {
		out.BatchSizes = append(out.BatchSizes, int32(n))
	}
	for _, in := range m.Inputs {
		out.Inputs = append(out.Inputs, &assayv1.ModelInput{
			Name: in.Name, Layout: in.Layout, Type: in.Type, Width: int32(in.Width), Height: int32(in.Height), Channels: int32(in.Channels),
		})
	}
	return out
}

func fromModelState(s ModelState) assayv1.ModelState {
	if _, ok := assayv1.ModelState_name[int32(s)]; !ok {
		return assayv1.ModelState_MODEL_STATE_UNSPECIFIED
	}
	return assayv1.ModelState(s)
}

type recipeService struct {
	assayv1.UnimplementedRecipeServiceServer
	srv *Server
}

func (g *recipeService) ListRecipes(context.Context, *assayv1.ListRecipesRequest) (*assayv1.ListRecipesResponse, error) {
	resp := &assayv1.ListRecipesResponse{Problems: g.srv.deps.Catalog.Problems()}
	for _, r := range g.srv.deps.Catalog.Recipes() {
		resp.Recipes = append(resp.Recipes, fromRecipe(r))
	}
	return resp, nil
}

func (g *recipeService) GetRecipe(ctx context.Context, r *assayv1.GetRecipeRequest) (*assayv1.GetRecipeResponse, error) {
	err := named(r.GetName(), "")
	if r.GetRevision() < 0 {
		err = fmt.Errorf("%w: revision is %d: count from 1, or give 0 for the current one", inspection.ErrInvalid, r.GetRevision())
	}
	if err != nil {
		return nil, g.srv.fail(ctx, "GetRecipe", err)
	}
	st, text, err := g.srv.deps.Catalog.Recipe(ctx, r.GetName(), int(r.GetRevision()))
	if err != nil {
		return nil, g.srv.fail(ctx, "GetRecipe", fmt.Errorf("recipe %q: %w", r.GetName(), err))
	}
	return &assayv1.GetRecipeResponse{Recipe: fromRecipe(st), Yaml: text}, nil
}

func fromRecipe(st RecipeStatus) *assayv1.Recipe {
	r := st.Recipe
	return &assayv1.Recipe{
		Ref: proto.FromRecipeRef(r.Ref()), ModelSelector: r.Model.String(), Model: proto.FromModelRef(st.Model),
		Fallback: proto.FromVerdict(r.Fallback), Budget: proto.FromDuration(r.Budget), Views: r.Views, ReportAt: r.ReportAt,
		References: slices.Sorted(maps.Keys(r.Reference.Templates)), Ready: st.Ready, Message: st.Message, Imported: proto.FromTime(st.Imported),
	}
}

type nodeService struct {
	assayv1.UnimplementedNodeServiceServer
	srv *Server
}

func (g *nodeService) GetStatus(ctx context.Context, _ *assayv1.GetStatusRequest) (*assayv1.GetStatusResponse, error) {
	s := g.srv
	st := s.status(ctx)
	return &assayv1.GetStatusResponse{
		Node: s.cfg.Node, Version: st.Version, Uptime: durationpb.New(time.Since(s.started)), Ready: st.Ready, Reasons: st.Reasons,
		Warnings: st.Warnings, Frames: st.Frames, DeadlineMisses: st.DeadlineMisses, Libraries: st.Libraries,
		Streams: uint32(max(s.streams.Load(), 0)), InFlight: uint32(max(s.inFlight.Load(), 0)),
		Storage: &assayv1.Storage{
			Directory: st.Storage.Directory, FreeBytes: st.Storage.Free, UsedBytes: st.Storage.Used, ImageBudgetBytes: st.Storage.ImageBudget,
			ImageBytes: st.Storage.ImageBytes, Images: st.Storage.Images, Results: st.Storage.Results, DaysLeft: st.Storage.DaysLeft, Full: st.Storage.Full,
		},
	}, nil
}

// status is the node's, with what only the door knows: that it is closing.
func (s *Server) status(ctx context.Context) NodeStatus {
	st := s.deps.Status.Status(ctx)
	if s.isDraining() {
		st.Ready = false
		st.Reasons = append(slices.Clone(st.Reasons), "the node is shutting down")
	}
	return st
}

func (s *Server) isDraining() bool {
	select {
	case <-s.draining:
		return true
	default:
		return false
	}
}
