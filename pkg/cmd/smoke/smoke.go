// Package smoke is the command `labctl smoke`.
package smoke

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/MakeNowJust/heredoc/v2"
	"github.com/spf13/cobra"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/internal/near"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/smoke"
	"labctl.dev/labctl/pkg/ui"
)

// Prover proves labs.
type Prover interface {
	Run(ctx context.Context, o smoke.Options, sink ui.Sink) (*smoke.Report, error)
}

// Options are what the command works with.
type Options struct {
	IO      *iostreams.Streams
	Console func() *ui.Console
	Names   func() ([]string, error)
	Prover  func() (Prover, error)

	Smoke  smoke.Options
	All    bool
	JUnit  string
	Output ui.Format
}

// NewCmd makes the command. runF replaces the work in tests.
func NewCmd(f *cmdutil.Factory, runF func(context.Context, *Options) error) *cobra.Command {
	o := &Options{
		IO: f.IO, Console: f.Console,
		Names: func() ([]string, error) {
			c, err := f.Catalog()
			if err != nil {
				return nil, err
			}
			return c.Names()
		},
		Prover: func() (Prover, error) { return f.Smoke() },
	}
	var states []string
	cmd := &cobra.Command{
		Use:   "smoke <lab...>",
		Short: "Prove that labs are sound",
		Long: heredoc.Docf(`
			Prove labs on a real cluster: every check fails on the fresh lab, passes once
			the solutions have run (once and twice), accepts each other right solution, sees
			each plausible mistake and each fault, and passes again after the fix. At the
			end the proof itself is proven: no check could pass whatever it sees without a
			state noticing.

			A lab that is not up is brought up and taken down again. A lab that is up is put
			back to its beginning, before and afterwards: the work in it is lost, so a lab
			with work in it asks for --yes.

			Kinds of states: %s.
			A single state is picked by its name, such as near-miss/<id>, alternative/<id>,
			solved/<task> or fault/<id>; what it needs is done, but not judged.
		`, strings.Join(kindNames(), ", ")),
		Example: heredoc.Doc(`
			labctl smoke model-registry
			labctl smoke --all --junit smoke.xml
			labctl smoke model-registry --states fresh,solved,faults
			labctl smoke model-registry --states fault/alias-moved
		`),
		Args: func(cmd *cobra.Command, args []string) error {
			if o.All == (len(args) > 0) || slices.Contains(args, "") {
				return clierr.Usage("usage: "+cmd.UseLine(), "give names of labs, or --all")
			}
			return nil
		},
		ValidArgsFunction: func(cmd *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
			return cmdutil.CompleteLabs(f)(cmd, nil, toComplete)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Smoke.Labs = args
			var err error
			if o.Smoke.States, err = selection(states); err != nil {
				return err
			}
			if o.Smoke.Parallel < 1 {
				return clierr.Usage("the least is 1", "--parallel is %d", o.Smoke.Parallel)
			}
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return run(cmd.Context(), o)
		},
	}
	fs := cmd.Flags()
	fs.BoolVar(&o.All, "all", false, "prove every lab")
	fs.StringSliceVar(&states, "states", nil, "prove only these states, by kind or name (default all)")
	fs.IntVar(&o.Smoke.Parallel, "parallel", 1, "prove that many labs side by side")
	fs.BoolVar(&o.Smoke.Keep, "keep", false, "leave labs up that the proof brought up")
	fs.BoolVarP(&o.Smoke.Discard, "yes", "y", false, "throw the work in labs that are up away without asking")
	fs.StringVar(&o.JUnit, "junit", "", "write a JUnit report to this file")
	_ = cmd.RegisterFlagCompletionFunc("states", cobra.FixedCompletions(kindNames(), cobra.ShellCompDirectiveNoFileComp))
	cmdutil.AddTargetFlags(fs, &o.Smoke.Target)
	cmdutil.AddOutputFlag(fs, &o.Output)
	return cmd
}

func kindNames() []string {
	var names []string
	for _, k := range smoke.Kinds() {
		names = append(names, string(k))
	}
	return names
}

// selection turns the values of --states into what they pick.
func selection(states []string) (pick smoke.Selection, err error) {
	for _, s := range states {
		switch {
		case slices.Contains(kindNames(), s):
			pick.Kinds = append(pick.Kinds, smoke.Kind(s))
		case strings.Contains(s, "/"):
			pick.Names = append(pick.Names, s)
		default:
			return pick, clierr.Usage("the kinds of states are: "+strings.Join(kindNames(), ", "), "--states: there is no %q%s", s, near.Hint(s, kindNames()))
		}
	}
	return pick, nil
}

func run(ctx context.Context, o *Options) (err error) {
	if o.All {
		if o.Smoke.Labs, err = o.Names(); err != nil {
			return err
		}
	}
	p, err := o.Prover()
	if err != nil {
		return err
	}
	// Opened first: a long proof must not end with a file that can't be written.
	junit, err := create(o.JUnit)
	if err != nil {
		return err
	}
	console := o.Console()
	rep, err := p.Run(ctx, o.Smoke, console)
	console.Close()
	if junit != nil && rep != nil {
		if werr := smoke.WriteJUnit(junit, rep); werr != nil {
			err = errors.Join(err, werr)
		}
	}
	if junit != nil {
		err = errors.Join(err, junit.Close())
	}
	if err != nil {
		return err
	}
	if err := ui.Write(o.IO.Out, o.Output, rep, func(w io.Writer) error { return text(w, rep) }); err != nil {
		return err
	}
	if !rep.OK {
		return &cmdutil.ReportedError{Code: clierr.CodeCheck}
	}
	return nil
}

func create(path string) (io.WriteCloser, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // no report is wanted
	}
	f, err := os.Create(path)
	return f, clierr.Wrap(err, "write the JUnit report", "give --junit a file in a directory that exists")
}

func text(w io.Writer, r *smoke.Report) error {
	p := ui.NewPrinter(w)
	for _, l := range r.Labs {
		states, cases, bad := 0, 0, 0
		for _, s := range l.States {
			states++
			cases += len(s.Cases)
			if !s.OK {
				bad++
			}
		}
		took := ui.Duration(time.Duration(l.Seconds * float64(time.Second)))
		switch {
		case l.Error != "":
			p.Linef("%s: the proof could not be ended after %d states: %s", l.Lab, states, l.Error)
		case l.OK:
			p.Linef("%s: sound, %d states, %d checks as they must be, %s", l.Lab, states, cases, took)
		default:
			p.Linef("%s: not sound, %d of %d states are not as they must be, %s", l.Lab, bad, states, took)
		}
		for _, s := range l.States {
			if s.OK {
				continue
			}
			p.Linef("  %s", s.Name)
			if s.Problem != "" {
				p.Linef("    %s", strings.ReplaceAll(s.Problem, "\n", "\n      "))
			}
			for _, c := range s.Cases {
				if !c.OK {
					p.Linef("    %s %s", c.Check, c.Problem)
				}
			}
		}
	}
	if len(r.Labs) > 1 {
		p.Linef("%s", fmt.Sprintf("%d labs, %s", len(r.Labs), ui.Duration(time.Duration(r.Seconds*float64(time.Second)))))
	}
	return p.Err()
}
