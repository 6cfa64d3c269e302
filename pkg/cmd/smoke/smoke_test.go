package smoke

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/check"
	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/internal/golden"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/smoke"
	"labctl.dev/labctl/pkg/ui"
)

// given is the part of the options that the command line gives.
type given struct {
	Smoke  smoke.Options
	All    bool
	JUnit  string
	Output ui.Format
}

func TestArguments(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args []string
		want given
		code int
	}{
		"a lab": {args: []string{"x"}, want: given{Smoke: smoke.Options{Labs: []string{"x"}, Parallel: 1}, Output: ui.Text}},
		"everything": {
			args: []string{"--all", "--states", "fresh,faults,solved/pin", "--parallel", "2", "--keep", "--yes", "--junit", "f.xml", "-o", "json", "--context", "c"},
			want: given{
				Smoke: smoke.Options{States: smoke.Selection{Kinds: []smoke.Kind{smoke.Fresh, smoke.Fault}, Names: []string{"solved/pin"}}, Parallel: 2, Keep: true, Discard: true, Target: engine.Target{Context: "c"}},
				All:   true, JUnit: "f.xml", Output: ui.JSON,
			},
		},
		"nothing":        {code: clierr.CodeUsage},
		"all and one":    {args: []string{"x", "--all"}, code: clierr.CodeUsage},
		"unknown state":  {args: []string{"x", "--states", "frsh"}, code: clierr.CodeUsage},
		"not parallel":   {args: []string{"x", "--parallel", "0"}, code: clierr.CodeUsage},
		"unknown format": {args: []string{"x", "-o", "xml"}, code: clierr.CodeFailed},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			streams, _, _, _ := iostreams.Test()
			var got given
			cmd := NewCmd(&cmdutil.Factory{IO: streams}, func(_ context.Context, o *Options) error {
				got = given{o.Smoke, o.All, o.JUnit, o.Output}
				return nil
			})
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
			cmd.SetArgs(append([]string{}, tt.args...)) // nil means those of the process
			if err := cmd.ExecuteContext(t.Context()); clierr.Code(err) != tt.code {
				t.Fatalf("exit code %d, want %d: %v", clierr.Code(err), tt.code, err)
			}
			if len(got.Smoke.Labs) == 0 {
				got.Smoke.Labs = nil
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("options (-want +got):\n%s", diff)
			}
		})
	}
}

// fake has a fixed answer and keeps what it was asked.
type fake struct {
	report *smoke.Report
	err    error
	asked  smoke.Options
}

func (f *fake) Run(_ context.Context, o smoke.Options, _ ui.Sink) (*smoke.Report, error) {
	f.asked = o
	return f.report, f.err
}

func sound() *smoke.Report {
	return &smoke.Report{OK: true, Seconds: 61, Labs: []*smoke.Proof{{
		Lab: "demo", OK: true, Seconds: 61,
		States: []smoke.State{{Name: "fresh", Kind: smoke.Fresh, OK: true, Seconds: 2, Cases: []smoke.Case{
			{Check: "DE1a", Want: smoke.NotPass, Status: check.StatusFail, OK: true, Result: check.Result{ID: "DE1a", Task: "one", Status: check.StatusFail, Message: "nothing is there"}},
		}}},
	}}}
}

func unsound() *smoke.Report {
	r := sound()
	r.OK, r.Labs[0].OK = false, false
	r.Labs[0].States = append(r.Labs[0].States,
		smoke.State{Name: "solved/one", Kind: smoke.Solved, Problem: "its steps failed: exit code 1\nno such command", Cases: []smoke.Case{}},
		smoke.State{Name: "fault/storm", Kind: smoke.Fault, Cases: []smoke.Case{{Check: "DE1a", Want: smoke.Fail, Status: check.StatusPass, Problem: "must fail by itself, passes"}}})
	return r
}

func TestOutput(t *testing.T) {
	t.Parallel()
	cut := sound()
	cut.Labs[0].OK, cut.Labs[0].Error = false, "the cluster is gone"
	tests := map[string]struct {
		fake fake
		out  ui.Format
		code int
		file string
	}{
		"sound":         {fake{report: sound()}, ui.Text, clierr.CodeOK, "sound.txt"},
		"sound as json": {fake{report: sound()}, ui.JSON, clierr.CodeOK, "sound.json"},
		"unsound":       {fake{report: unsound()}, ui.Text, clierr.CodeCheck, "unsound.txt"},
		"cut off":       {fake{report: cut, err: errors.New("the cluster is gone")}, ui.Text, clierr.CodeFailed, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			streams, _, out, _ := iostreams.Test()
			junit := filepath.Join(t.TempDir(), "report.xml")
			o := &Options{
				IO: streams, Console: func() *ui.Console { return ui.NewConsole(streams, true) },
				Names: func() ([]string, error) { return []string{"demo"}, nil }, Prover: func() (Prover, error) { return &tt.fake, nil },
				All: true, JUnit: junit, Output: tt.out,
			}
			err := run(t.Context(), o)
			var reported *cmdutil.ReportedError
			code := clierr.Code(err)
			if errors.As(err, &reported) {
				code = reported.Code
			}
			if code != tt.code {
				t.Errorf("exit code %d, want %d: %v", code, tt.code, err)
			}
			if diff := cmp.Diff([]string{"demo"}, tt.fake.asked.Labs); diff != "" {
				t.Error(diff)
			}
			if raw, err := os.ReadFile(junit); err != nil || !bytes.Contains(raw, []byte(`<testsuite name="demo"`)) {
				t.Errorf("no report: %v\n%s", err, raw)
			}
			if tt.file != "" {
				golden.Equal(t, out.Bytes(), tt.file)
			} else if out.Len() > 0 {
				t.Errorf("a result beside an error:\n%s", out)
			}
		})
	}
}

func TestReportThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	streams, _, _, _ := iostreams.Test()
	f := &fake{report: sound()}
	o := &Options{
		IO: streams, Console: func() *ui.Console { return ui.NewConsole(streams, true) }, Prover: func() (Prover, error) { return f, nil },
		JUnit: filepath.Join(t.TempDir(), "no", "such", "report.xml"),
	}
	if err := run(t.Context(), o); err == nil || f.asked.Parallel != 0 {
		t.Errorf("the proof ran, and its report can't be written: %v", err)
	}
}
