// Package receipt is the command `labctl receipt`.
package receipt

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/MakeNowJust/heredoc/v2"
	"github.com/spf13/cobra"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/practice"
	"labctl.dev/labctl/pkg/receipt"
	"labctl.dev/labctl/pkg/ui"
)

// Issuer issues receipts and verifies them.
type Issuer interface {
	Receipt(ctx context.Context, o practice.ReceiptOptions, sink ui.Sink) (*receipt.Issued, error)
	VerifyReceipt(content []byte) (*receipt.Verdict, error)
}

// Options are what the command works with.
type Options struct {
	IO       *iostreams.Streams
	Console  func() *ui.Console
	Practice func() (Issuer, error)

	Receipt practice.ReceiptOptions
	Out     string
	Verify  string
	Output  ui.Format
}

// result is the JSON form of a receipt that was issued: where it is, and what
// is in it.
type result struct {
	File      string          `json:"file"`
	Receipt   json.RawMessage `json:"receipt"`
	Key       string          `json:"key"`
	Signature string          `json:"signature"`
}

// NewCmd makes the command. runF replaces the work in tests.
func NewCmd(f *cmdutil.Factory, runF func(context.Context, *Options) error) *cobra.Command {
	o := &Options{IO: f.IO, Console: f.Console, Practice: func() (Issuer, error) { return f.Practice() }}
	cmd := &cobra.Command{
		Use:   "receipt [lab]",
		Short: "Write a signed record of what you did in a lab",
		Long: heredoc.Doc(`
			Look at a lab once more and write a receipt: the score, every check with
			what it found, hints, solved tasks and faults, with times. It is signed by a
			key of this machine and carries the hash of the receipt before.

			A receipt names neither you nor the machine, unless you give --name, and
			holds no passwords. It is evidence of a run, not proof against somebody who
			wants to cheat: the key lies on the learner's machine.

			--verify checks the signature of a receipt, of anybody, without a cluster.
		`),
		Example: heredoc.Doc(`
			labctl receipt model-registry
			labctl receipt model-registry --name "Ada Lovelace" --out ada.json
			labctl receipt --verify ada.json
		`),
		Args:              cmdutil.MaxArgs(1, "one lab"),
		ValidArgsFunction: cmdutil.CompleteLabs(f),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.Receipt.Lab = args[0]
			}
			if o.Verify != "" && (o.Receipt.Lab != "" || o.Receipt.Name != "" || o.Out != "") {
				return clierr.Usage("labctl receipt --verify "+o.Verify, "--verify only looks at a file")
			}
			if runF != nil {
				return runF(cmd.Context(), o)
			}
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.Receipt.Name, "name", "", "name to put into the receipt")
	cmd.Flags().StringVar(&o.Out, "out", "", "file to write the receipt to as well")
	cmd.Flags().StringVar(&o.Verify, "verify", "", "receipt to check instead of writing one")
	_ = cmd.MarkFlagFilename("verify", "json")
	cmdutil.AddTargetFlags(cmd.Flags(), &o.Receipt.Target)
	cmdutil.AddOutputFlag(cmd.Flags(), &o.Output)
	return cmd
}

func run(ctx context.Context, o *Options) error {
	p, err := o.Practice()
	if err != nil {
		return err
	}
	if o.Verify != "" {
		return verify(p, o)
	}
	console := o.Console()
	r, err := p.Receipt(ctx, o.Receipt, console)
	console.Close()
	if err != nil {
		return err
	}
	if o.Out != "" {
		if err := os.WriteFile(o.Out, r.Content, 0o600); err != nil {
			return clierr.Wrap(err, "write the receipt", "it is kept as "+r.File)
		}
	}
	file := r.File
	if o.Out != "" {
		file = o.Out
	}
	var res result
	if err := json.Unmarshal(r.Content, &res); err != nil {
		return clierr.Wrap(err, "read the receipt", "")
	}
	res.File = file
	return ui.Write(o.IO.Out, o.Output, res, func(w io.Writer) error {
		p := ui.NewPrinter(w)
		summary(p, r.Document)
		p.Linef("")
		p.Linef("Receipt: %s", file)
		p.Linef("Verify:  labctl receipt --verify %s", file)
		return p.Err()
	})
}

func verify(p Issuer, o *Options) error {
	content, err := os.ReadFile(o.Verify)
	if err != nil {
		return clierr.Usage("give the file of a receipt", "read the receipt: %w", err)
	}
	v, err := p.VerifyReceipt(content)
	if err != nil {
		return &clierr.Error{
			Op: "verify " + o.Verify, Err: err, Code: clierr.CodeCheck, ID: "receipt-invalid",
			Hint: "ask for the file as labctl wrote it; the score in this one proves nothing",
		}
	}
	return ui.Write(o.IO.Out, o.Output, v, func(w io.Writer) error {
		p := ui.NewPrinter(w)
		whose := "another machine's"
		if v.Own {
			whose = "this machine's"
		}
		p.Linef("The signature fits: key %s, %s.", v.Key, whose)
		switch v.Chain {
		case receipt.ChainFirst:
			p.Linef("It is the first receipt of that key.")
		case receipt.ChainIntact:
			p.Linef("It is number %d of that key, and the one before is here.", v.Document.Number)
		default:
			p.Linef("It is number %d of that key; the one before is not here to compare.", v.Document.Number)
		}
		p.Linef("")
		summary(p, v.Document)
		return p.Err()
	})
}

// summary says in a few lines what a receipt is about.
func summary(p *ui.Printer, d receipt.Document) {
	who := ""
	if d.Name != "" {
		who = ", " + d.Name
	}
	p.Linef("%s%s: %s", d.Lab.Title, who, cmdutil.ScoreLine(practice.Score(d.Score)))
	p.Linef("%s to %s UTC, %s at work", d.Started.UTC().Format("2 Jan 2006 15:04"), d.Ended.UTC().Format("2 Jan 2006 15:04"), active(d.ActiveSeconds))
	rows := make([][]string, 0, len(d.Tasks))
	for _, t := range d.Tasks {
		note := ""
		if n := len(t.Hints); n == 1 {
			note = "1 hint"
		} else if n > 1 {
			note = fmt.Sprintf("%d hints", n)
		}
		rows = append(rows, []string{t.Title, fmt.Sprintf("%d/%d", t.Earned, t.Max), t.State, note})
	}
	p.Table("  ", rows)
	fixed := 0
	for _, f := range d.Faults {
		if !f.Fixed.IsZero() {
			fixed++
		}
	}
	if len(d.Faults) > 0 {
		p.Linef("  %d of %d drills repaired", fixed, len(d.Faults))
	}
}

// active says how long somebody worked, to the minute.
func active(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second)).Round(time.Minute)
	if d < time.Minute {
		return "less than a minute"
	}
	if d < time.Hour {
		return fmt.Sprintf("%d min", int(d.Minutes()))
	}
	return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
}
