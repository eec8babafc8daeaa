package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/assay-vision/assay/models"
	assayv1 "github.com/assay-vision/assay/proto/assay/v1"
)

// pushChunk is how many bytes of a file go into one message.
const pushChunk = 1 << 20

// activationTime bounds the loading, measuring and checking of a version.
const activationTime = 10 * time.Minute

func (a *app) pushCommand() *cobra.Command {
	as := ""
	cmd := &cobra.Command{
		Use:   "push folder",
		Short: "Bring a model version to the node, beside those that it has",
		Long: "Bring a model version to the node, beside those that it has. Nothing is activated. The folder is that of the version, as\n" +
			"in a repository: its last two names are the model's name and the version's number. A version is never changed: pushed\n" +
			"again it is left as it is, and with other files it is refused.\n\n" + asksOnly,
		Example: "  assay models push my-models/scratch-net/2\n  assay models push export/ --as scratch-net@3",
		Args:    args(1, 1, "one folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			name, version := filepath.Base(filepath.Dir(dir)), filepath.Base(dir)
			if as != "" {
				if name, version, err = nameAndVersion(as); err != nil {
					return err
				}
			}
			return a.push(cmd.Context(), dir, name, version)
		},
	}
	cmd.Flags().StringVar(&as, "as", "", "name@version, where the folder is not called so")
	return cmd
}

func (a *app) push(ctx context.Context, dir, name, version string) error {
	at := filepath.Join(dir, models.ManifestFile)
	text, err := os.ReadFile(at)
	if err != nil {
		return fmt.Errorf("%s is no folder of a model version: %w", dir, err)
	}
	manifest, err := models.ParseManifest(at, text)
	if err != nil {
		return err
	}
	conn, err := a.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, activationTime)
	defer cancel()
	doing := fmt.Sprintf("push model %s@%s", name, version)
	stream, err := assayv1.NewModelServiceClient(conn).PushModel(ctx)
	if err != nil {
		return a.explain(doing, err)
	}
	send := func(m *assayv1.PushModelRequest) error { return stream.Send(m) }
	err = send(&assayv1.PushModelRequest{Message: &assayv1.PushModelRequest_Header{Header: &assayv1.PushHeader{Name: name, Version: version}}})
	for _, file := range manifest.Files() {
		if err == nil {
			err = sendFile(dir, file, send)
		}
	}
	if err != nil && !errors.Is(err, io.EOF) { // EOF: the node has ended the stream, and says why below
		return fmt.Errorf("%s: %w", doing, err)
	}
	resp, err := stream.CloseAndRecv()
	if err != nil {
		return a.explain(doing, err)
	}
	if a.json {
		return a.printProto(resp)
	}
	how := "pushed"
	if resp.GetExisted() {
		how = "was there already"
	}
	_, err = fmt.Fprintf(a.out, "%s@%s %s: digest %s\nIt is not active by that: assay models activate %s@%s\n", name, version, how, resp.GetModel().GetDigest(), name, version)
	return err
}

// sendFile sends a file's name, size and digest, then its bytes. The file is read twice: what changes in between is refused.
func sendFile(dir, name string, send func(*assayv1.PushModelRequest) error) error {
	f, err := os.Open(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	size, err := io.Copy(sum, f)
	if err != nil {
		return fmt.Errorf("read %s: %w", f.Name(), err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read %s: %w", f.Name(), err)
	}
	file := &assayv1.PushFile{Name: name, Size: size, Sha256: hex.EncodeToString(sum.Sum(nil))}
	if err := send(&assayv1.PushModelRequest{Message: &assayv1.PushModelRequest_File{File: file}}); err != nil {
		return err
	}
	for {
		chunk := make([]byte, pushChunk) // which the message keeps
		n, err := f.Read(chunk)
		if n > 0 {
			if err := send(&assayv1.PushModelRequest{Message: &assayv1.PushModelRequest_Chunk{Chunk: chunk[:n]}}); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read %s: %w", f.Name(), err)
		}
	}
}

// signature is who asks for a change and why, for the record.
type signature struct{ by, reason string }

func (s *signature) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.by, "by", whoAmI(), "who does it, for the record")
	cmd.Flags().StringVar(&s.reason, "reason", "", "why, for the record")
}

// whoAmI is the user of this program and the machine.
func whoAmI() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}

func (a *app) activateCommand() *cobra.Command {
	var s signature
	cmd := &cobra.Command{
		Use:   "activate name@version",
		Short: "Let a model version judge for the recipes that name the model without a version",
		Long: "Let a model version judge for the recipes that name the model without a version. The node loads and warms it and holds\n" +
			"its answers against its golden set first; frames are judged by the version before until then, and on any error it\n" +
			"stays. Who, when and why is recorded: see 'assay models history'.\n\n" + asksOnly,
		Example: "  assay models activate scratch-net@2 --reason \"trained on the new lot\"",
		Args:    args(1, 1, "name@version"),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, version, err := nameAndVersion(args[0])
			if err != nil {
				return err
			}
			return a.ask(cmd.Context(), activationTime, func(ctx context.Context, c assayv1.ModelServiceClient) error {
				resp, err := c.ActivateModel(ctx, &assayv1.ActivateModelRequest{Name: name, Version: version, By: s.by, Reason: s.reason})
				if err != nil {
					return a.explain("activate", err)
				}
				if a.json {
					return a.printProto(resp)
				}
				if !resp.GetChanged() {
					_, err = fmt.Fprintf(a.out, "%s@%s is active already\n", name, version)
					return err
				}
				return a.printSwitch(resp.GetActivation())
			})
		},
	}
	s.flags(cmd)
	return cmd
}

func (a *app) rollbackCommand() *cobra.Command {
	var s signature
	cmd := &cobra.Command{
		Use:   "rollback name",
		Short: "Let the model version judge again that was active before the present one",
		Long: "Let the model version judge again that was active before the present one. Rolled back a second time it comes forward\n" +
			"again; to go back further, activate a version by its number.\n\n" + asksOnly,
		Args: args(1, 1, "one model"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.ask(cmd.Context(), activationTime, func(ctx context.Context, c assayv1.ModelServiceClient) error {
				resp, err := c.RollbackModel(ctx, &assayv1.RollbackModelRequest{Name: args[0], By: s.by, Reason: s.reason})
				if err != nil {
					return a.explain("roll back", err)
				}
				if a.json {
					return a.printProto(resp)
				}
				return a.printSwitch(resp.GetActivation())
			})
		},
	}
	s.flags(cmd)
	return cmd
}

func (a *app) removeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rm name@version",
		Short: "Remove a model version that was pushed",
		Long:  "Remove a model version that was pushed, and that is not active, named by a recipe, or judging.\n\n" + asksOnly,
		Args:  args(1, 1, "name@version"),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, version, err := nameAndVersion(args[0])
			if err != nil {
				return err
			}
			return a.ask(cmd.Context(), time.Minute, func(ctx context.Context, c assayv1.ModelServiceClient) error {
				if _, err := c.RemoveModel(ctx, &assayv1.RemoveModelRequest{Name: name, Version: version}); err != nil {
					return a.explain("remove", err)
				}
				return nil
			})
		},
	}
}

func (a *app) historyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "history [name]",
		Short: "Show which model version became active when, by whom and why",
		Long:  "Show which version of a model, or of all, became active when, by whom and why, the latest first.\n\n" + asksOnly,
		Args:  args(0, 1, "at most one"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.ask(cmd.Context(), time.Minute, func(ctx context.Context, c assayv1.ModelServiceClient) error {
				resp, err := c.ListActivations(ctx, &assayv1.ListActivationsRequest{Name: strings.Join(args, "")})
				if err != nil {
					return a.explain("list activations", err)
				}
				return a.printHistory(resp.GetActivations())
			})
		},
	}
}

func (a *app) printHistory(all []*assayv1.Activation) error {
	var rows [][]string
	for _, x := range all {
		if a.json {
			if err := a.printProto(x); err != nil {
				return err
			}
			continue
		}
		rows = append(rows, []string{x.GetTime().AsTime().Local().Format(time.DateTime), plain(x.GetName()), x.GetAct(), dash(x.GetFrom()), dash(x.GetTo()),
			fmt.Sprintf("%.12s", x.GetDigest()), plain(x.GetBy()), plain(x.GetPeer()), plain(x.GetReason())})
	}
	if a.json {
		return nil
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintln(a.out, "Nothing was activated yet.")
		return err
	}
	return a.printGrid([]column{{name: "TIME"}, {name: "MODEL", width: 32}, {name: "ACT"}, {name: "FROM"}, {name: "TO"}, {name: "DIGEST", drop: 1},
		{name: "BY", width: 32}, {name: "PEER", drop: 2}, {name: "REASON"}}, rows)
}

func (a *app) printSwitch(x *assayv1.Activation) error {
	_, err := fmt.Fprintf(a.out, "%s: version %s is active, %s was before\n", x.GetName(), x.GetTo(), dash(x.GetFrom()))
	return err
}

// ask makes one call, which may take some time.
func (a *app) ask(ctx context.Context, limit time.Duration, do func(context.Context, assayv1.ModelServiceClient) error) error {
	conn, err := a.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return do(ctx, assayv1.NewModelServiceClient(conn))
}

// nameAndVersion splits name@version; both must be there.
func nameAndVersion(s string) (name, version string, err error) {
	name, version, _ = strings.Cut(s, "@")
	if name == "" || version == "" {
		return "", "", fmt.Errorf("%w: %q: write name@version, such as pcb-pair@2", errUsage, s)
	}
	return name, version, nil
}
