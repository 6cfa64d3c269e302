package receipt

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil/cmdtest"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/practice"
	"labctl.dev/labctl/pkg/receipt"
	"labctl.dev/labctl/pkg/ui"
)

// given is the part of the options that the command line gives.
type given struct {
	Receipt     practice.ReceiptOptions
	Out, Verify string
	Output      ui.Format
}

func TestArguments(t *testing.T) {
	t.Parallel()
	pick := func(o *Options) given { return given{o.Receipt, o.Out, o.Verify, o.Output} }
	cmdtest.Lines(t, NewCmd, pick, map[string]cmdtest.Line[given]{
		"the lab that is up": {Want: given{Output: ui.Text}},
		"named": {Args: []string{"x", "--name", "Ada", "--out", "f.json", "--context", "c"}, Want: given{
			practice.ReceiptOptions{Lab: "x", Name: "Ada", Target: engine.Target{Context: "c"}}, "f.json", "", ui.Text,
		}},
		"verify":           {Args: []string{"--verify", "f.json", "-ojson"}, Want: given{Verify: "f.json", Output: ui.JSON}},
		"two labs":         {Args: []string{"x", "y"}, Code: clierr.CodeUsage},
		"verify and a lab": {Args: []string{"x", "--verify", "f.json"}, Code: clierr.CodeUsage},
		"verify and name":  {Args: []string{"--name", "Ada", "--verify", "f.json"}, Code: clierr.CodeUsage},
	})
}

// fake is a Practice with a fixed answer.
type fake struct {
	issued  *receipt.Issued
	verdict *receipt.Verdict
	err     error
}

func (f fake) Receipt(context.Context, practice.ReceiptOptions, ui.Sink) (*receipt.Issued, error) {
	return f.issued, f.err
}

func (f fake) VerifyReceipt([]byte) (*receipt.Verdict, error) { return f.verdict, f.err }

func document() receipt.Document {
	day := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	return receipt.Document{
		Schema: 1, Number: 2, Lab: receipt.Lab{Name: "model-registry", Title: "Model registry"}, Name: "Ada Lovelace",
		Started: day, Ended: day.Add(2 * time.Hour), ActiveSeconds: 4210,
		Score: receipt.Score{Earned: 41, Max: 60, Bonus: 10, BonusMax: 60},
		Tasks: []receipt.Task{
			{ID: "register", Title: "Register the run you would defend", State: "passed", Earned: 12, Max: 12, Hints: []receipt.Hint{{Level: 1}}},
			{ID: "pin", Title: "Pin the deployment", State: "solved", Max: 14, Hints: []receipt.Hint{{Level: 1}, {Level: 2, Price: 1}}},
			{ID: "promote", Title: "Promotion as code", State: "partial", Earned: 7, Max: 16},
		},
		Faults: []receipt.Drill{{ID: "registry-down", Fixed: day}, {ID: "latest-back"}},
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	own := &receipt.Verdict{Document: document(), Key: "0123456789abcdef", Own: true, Chain: receipt.ChainIntact}
	foreign := &receipt.Verdict{Document: document(), Key: "0123456789abcdef", Chain: receipt.ChainMissing}
	first := &receipt.Verdict{Document: document(), Key: "0123456789abcdef", Own: true, Chain: receipt.ChainFirst}
	issued := &receipt.Issued{Document: document(), File: "/state/receipts/model-registry-20260301t110000z.json", Content: []byte(`{"receipt": {"schema": 1}, "key": "k", "signature": "s"}`)}
	file := filepath.Join(t.TempDir(), "receipt.json")
	if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		fake   fake
		verify string
		output ui.Format
	}{
		"issued.txt":  {fake: fake{issued: issued}, output: ui.Text},
		"issued.json": {fake: fake{issued: issued}, output: ui.JSON},
		"own.txt":     {fake: fake{verdict: own}, verify: file, output: ui.Text},
		"first.txt":   {fake: fake{verdict: first}, verify: file, output: ui.Text},
		"foreign.txt": {fake: fake{verdict: foreign}, verify: file, output: ui.Text},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := cmdtest.NewStreams()
			o := &Options{IO: s.IO, Console: s.Console, Verify: tt.verify, Output: tt.output, Practice: func() (Issuer, error) { return tt.fake, nil }}
			if err := run(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			s.WantOut(t, name)
		})
	}
}

func TestOut(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "ada.json")
	s := cmdtest.NewStreams()
	o := &Options{IO: s.IO, Console: s.Console, Out: out, Output: ui.Text, Practice: func() (Issuer, error) {
		return fake{issued: &receipt.Issued{Content: []byte("{}")}}, nil
	}}
	if err := run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(out); err != nil || string(got) != "{}" {
		t.Errorf("file %q, %v", got, err)
	}
	o.Out = filepath.Join(out, "no", "directory")
	if d := clierr.Describe(run(t.Context(), o)); d.Hint == "" {
		t.Errorf("error %+v", d)
	}
}

func TestVerifyFails(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "receipt.json")
	if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		file string
		code int
	}{"changed": {file, clierr.CodeCheck}, "not there": {file + "x", clierr.CodeUsage}}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := cmdtest.NewStreams()
			o := &Options{IO: s.IO, Console: s.Console, Verify: tt.file, Practice: func() (Issuer, error) { return fake{err: receipt.ErrSignature}, nil }}
			err := run(t.Context(), o)
			if clierr.Code(err) != tt.code || clierr.Describe(err).Hint == "" {
				t.Errorf("error %v, code %d", err, clierr.Code(err))
			}
			s.WantOut(t, "")
		})
	}
}

func TestActive(t *testing.T) {
	t.Parallel()
	for seconds, want := range map[float64]string{0: "less than a minute", 90: "2 min", 3599: "1 h 0 min", 4210: "1 h 10 min"} {
		if got := active(seconds); got != want {
			t.Errorf("%v s: %q, want %q", seconds, got, want)
		}
	}
}

func TestNoPractice(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	s := cmdtest.NewStreams()
	if err := run(t.Context(), &Options{IO: s.IO, Practice: func() (Issuer, error) { return nil, broken }}); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}
