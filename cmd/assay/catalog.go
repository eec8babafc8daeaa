package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

func (a *app) modelsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "models [name[@version]]",
		Short: "Show the node's models and where each stands, or one with its manifest",
		Args:  args(0, 1, "at most one"),
		RunE: func(cmd *cobra.Command, args []string) error {
			conn, err := a.dial()
			if err != nil {
				return err
			}
			defer conn.Close()
			client := assayv1.NewModelServiceClient(conn)
			ctx, cancel := call(cmd.Context())
			defer cancel()
			if len(args) == 1 {
				name, ver, _ := strings.Cut(args[0], "@")
				resp, err := client.GetModel(ctx, &assayv1.GetModelRequest{Name: name, Version: ver})
				if err != nil {
					return a.explain("get model "+args[0], err)
				}
				if a.json {
					return a.printProto(resp)
				}
				if err := a.modelTable([]*assayv1.Model{resp.GetModel()}); err != nil {
					return err
				}
				fmt.Fprintf(a.out, "\n%s", resp.GetManifest())
				return nil
			}
			resp, err := client.ListModels(ctx, &assayv1.ListModelsRequest{})
			if err != nil {
				return a.explain("list models", err)
			}
			if a.json {
				for _, m := range resp.GetModels() {
					if err := a.printProto(m); err != nil {
						return err
					}
				}
				return nil
			}
			return a.modelTable(resp.GetModels())
		},
	}
	cmd.AddCommand(a.profileCommand())
	return cmd
}

func (a *app) modelTable(models []*assayv1.Model) error {
	return a.table("MODEL\tACTIVE\tSTATE\tTASK\tRUNS ON\tINPUT\tBATCHES\tDIGEST\tMESSAGE", func(w io.Writer) {
		for _, m := range models {
			var inputs []string
			for _, in := range m.GetInputs() {
				inputs = append(inputs, fmt.Sprintf("%dx%dx%d %s", in.GetWidth(), in.GetHeight(), in.GetChannels(), in.GetType()))
			}
			active := "-"
			if m.GetActive() {
				active = "yes"
			}
			batches := strings.Trim(fmt.Sprint(m.GetBatchSizes()), "[]")
			fmt.Fprintf(w, "%s@%s\t%s\t%s\t%s\t%s\t%s\t%s\t%.12s\t%s\n", m.GetRef().GetName(), m.GetRef().GetVersion(), active,
				strings.ToLower(trimEnum(m.GetState().String(), "MODEL_STATE_")), m.GetTask(), dash(m.GetProvider()), strings.Join(inputs, ", "), batches, m.GetRef().GetDigest(), dash(m.GetMessage()))
		}
	})
}

func (a *app) recipesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "recipes [name]",
		Short: "Show the node's recipes at their current revision, or one with its text",
		Args:  args(0, 1, "at most one"),
		RunE: func(cmd *cobra.Command, args []string) error {
			conn, err := a.dial()
			if err != nil {
				return err
			}
			defer conn.Close()
			client := assayv1.NewRecipeServiceClient(conn)
			ctx, cancel := call(cmd.Context())
			defer cancel()
			if len(args) == 1 {
				resp, err := client.GetRecipe(ctx, &assayv1.GetRecipeRequest{Name: args[0]})
				if err != nil {
					return a.explain("get recipe "+args[0], err)
				}
				if a.json {
					return a.printProto(resp)
				}
				if err := a.recipeTable([]*assayv1.Recipe{resp.GetRecipe()}); err != nil {
					return err
				}
				fmt.Fprintf(a.out, "\n%s", resp.GetYaml())
				return nil
			}
			resp, err := client.ListRecipes(ctx, &assayv1.ListRecipesRequest{})
			if err != nil {
				return a.explain("list recipes", err)
			}
			if a.json {
				for _, r := range resp.GetRecipes() {
					if err := a.printProto(r); err != nil {
						return err
					}
				}
				return nil
			}
			if len(resp.GetRecipes()) == 0 {
				fmt.Fprintln(a.out, "No recipe. Put one into the node's recipes.dir; README shows how.")
				return nil
			}
			return a.recipeTable(resp.GetRecipes())
		},
	}
}

func (a *app) recipeTable(recipes []*assayv1.Recipe) error {
	return a.table("RECIPE\tREVISION\tREADY\tMODEL\tBUDGET\tFALLBACK\tREFERENCES\tDIGEST\tMESSAGE", func(w io.Writer) {
		for _, r := range recipes {
			ready := "no"
			if r.GetReady() {
				ready = "yes"
			}
			fmt.Fprintf(w, "%s\t%d\t%s\t%s -> %s\t%v\t%s\t%d\t%.12s\t%s\n", r.GetRef().GetName(), r.GetRef().GetRevision(), ready, r.GetModelSelector(), dash(r.GetModel().GetVersion()),
				r.GetBudget().AsDuration(), verdictName(r.GetFallback()), len(r.GetReferences()), r.GetRef().GetDigest(), dash(r.GetMessage()))
		}
	})
}
