package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

func (a *app) modelsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "models [name[@version]]",
		Short:   "Show the node's models and where each stands, or one with its manifest",
		Long:    "Show the node's models and where each stands, or one with its manifest.\n\n" + asksOnly,
		Example: "  assay models\n  assay models pcb-pair@1",
		Args:    args(0, 1, "at most one"),
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
	cmd.AddCommand(a.profileCommand(), a.importCommand(), a.pushCommand(), a.activateCommand(), a.rollbackCommand(), a.removeCommand(), a.historyCommand())
	return cmd
}

func (a *app) modelTable(models []*assayv1.Model) error {
	var rows [][]string
	said := messages{}
	for _, m := range models {
		var inputs []string
		for _, in := range m.GetInputs() {
			inputs = append(inputs, fmt.Sprintf("%dx%dx%d %s", in.GetWidth(), in.GetHeight(), in.GetChannels(), in.GetType()))
		}
		active := "-"
		if m.GetActive() {
			active = "yes"
		}
		name := m.GetRef().GetName() + "@" + m.GetRef().GetVersion()
		rows = append(rows, []string{name, active, strings.ToLower(trimEnum(m.GetState().String(), "MODEL_STATE_")), m.GetTask(), dash(m.GetProvider()),
			fmt.Sprintf("%.12s", m.GetRef().GetDigest()), strings.Trim(fmt.Sprint(m.GetBatchSizes()), "[]"), strings.Join(inputs, ", ")})
		said.add(name, m.GetMessage())
	}
	err := a.printGrid([]column{{name: "MODEL", width: 32}, {name: "ACTIVE"}, {name: "STATE"}, {name: "TASK", drop: 1}, {name: "RUNS ON"},
		{name: "DIGEST", drop: 2}, {name: "BATCHES", drop: 3}, {name: "INPUT"}}, rows)
	return errors.Join(err, a.printMessages(said))
}

// messages are what is to be said of a table's rows, each on lines of its own below it.
type messages [][2]string

func (m *messages) add(name, text string) {
	if text != "" {
		*m = append(*m, [2]string{name, text})
	}
}

func (a *app) printMessages(m messages) error {
	var b strings.Builder
	for i, said := range m {
		if i == 0 {
			b.WriteString("\n")
		}
		lines := strings.Split(strings.TrimSpace(said[1]), "\n")
		fmt.Fprintf(&b, "%s: %s\n", plain(said[0]), plain(lines[0]))
		for _, l := range lines[1:] {
			fmt.Fprintf(&b, "    %s\n", plain(strings.TrimSpace(l)))
		}
	}
	_, err := fmt.Fprint(a.out, b.String())
	return err
}

func (a *app) recipesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "recipes [name]",
		Short: "Show the node's recipes at their current revision, or one with its text",
		Long: "Show the node's recipes at their current revision, or one with its text. What is wrong with a recipe, or with a newer\n" +
			"file of it that was not taken, stands below the table.\n\n" + asksOnly,
		Example: "  assay recipes\n  assay recipes my-product",
		Args:    args(0, 1, "at most one"),
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
			return a.listRecipes(resp)
		},
	}
}

// listRecipes shows the recipes, and after them what is wrong with files that were not taken.
func (a *app) listRecipes(resp *assayv1.ListRecipesResponse) error {
	if a.json {
		for _, r := range resp.GetRecipes() {
			if err := a.printProto(r); err != nil {
				return err
			}
		}
		if len(resp.GetProblems()) > 0 {
			return a.printJSON(map[string]any{"problems": resp.GetProblems()})
		}
		return nil
	}
	var err error
	switch {
	case len(resp.GetRecipes()) > 0:
		err = a.recipeTable(resp.GetRecipes())
	case len(resp.GetProblems()) > 0:
		fmt.Fprintln(a.out, "No recipe is in force.")
	default:
		fmt.Fprintln(a.out, "No recipe. Put one into the node's recipes.dir; README shows how.")
	}
	for _, p := range resp.GetProblems() {
		fmt.Fprintf(a.out, "\nNot taken: %s\n", p)
	}
	return err
}

func (a *app) recipeTable(recipes []*assayv1.Recipe) error {
	var rows [][]string
	said := messages{}
	for _, r := range recipes {
		ready := "no"
		if r.GetReady() {
			ready = "yes"
		}
		name := r.GetRef().GetName()
		rows = append(rows, []string{name, fmt.Sprint(r.GetRef().GetRevision()), ready, r.GetBudget().AsDuration().String(), verdictName(r.GetFallback()),
			fmt.Sprint(len(r.GetReferences())), fmt.Sprintf("%.12s", r.GetRef().GetDigest()), r.GetModelSelector() + " -> " + dash(r.GetModel().GetVersion())})
		said.add(name, r.GetMessage())
	}
	err := a.printGrid([]column{{name: "RECIPE", width: 32}, {name: "REVISION", drop: 1}, {name: "READY"}, {name: "BUDGET"}, {name: "FALLBACK"},
		{name: "REFERENCES", drop: 2}, {name: "DIGEST", drop: 3}, {name: "MODEL"}}, rows)
	return errors.Join(err, a.printMessages(said))
}
