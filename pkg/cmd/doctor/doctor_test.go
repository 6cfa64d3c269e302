package doctor

import (
	"context"
	"errors"
	"testing"
	"time"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/cmdutil/cmdtest"
	"labctl.dev/labctl/pkg/doctor"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/ui"
)

// given is the part of the options that the command line gives.
type given struct {
	Examine engine.ExamineOptions
	Output  ui.Format
}

func TestArguments(t *testing.T) {
	t.Parallel()
	cmdtest.Lines(t, NewCmd, func(o *Options) given { return given{o.Examine, o.Output} }, map[string]cmdtest.Line[given]{
		"every lab": {Want: given{engine.ExamineOptions{Labs: []string{}}, ui.Text}},
		"two labs":  {Args: []string{"a", "b", "-ojson"}, Want: given{engine.ExamineOptions{Labs: []string{"a", "b"}}, ui.JSON}},
		"repair": {
			Args: []string{"--fix", "--ignore", "memory,disk"},
			Want: given{engine.ExamineOptions{Labs: []string{}, Fix: true, Ignore: []string{"memory", "disk"}}, ui.Text},
		},
	})
}

// fake is an engine with a fixed answer.
type fake struct {
	res *engine.Examination
	err error
}

func (f fake) Examine(_ context.Context, _ engine.ExamineOptions, sink ui.Sink) (*engine.Examination, error) {
	sink.Emit(ui.Event{Kind: ui.StepStart, Step: "fix", Title: "Repair"})
	return f.res, f.err
}

func report(fit bool) *engine.Examination {
	r := doctor.Report{
		Version: "v1.0.0", Platform: "linux/amd64", System: "Debian 12", Engine: "Docker 27", Labs: []string{"model-registry"},
		Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Fit: fit,
		Findings: []doctor.Finding{{ID: doctor.IDMemory, Status: doctor.OK, Title: "memory", Found: "8.0 GiB", Needed: "4.0 GiB"}},
	}
	if !fit {
		r.Findings = append(r.Findings, doctor.Finding{
			ID: doctor.IDInotifyInstances, Status: doctor.Fail, Title: "inotify instances", Found: "128", Needed: "512",
			Why: "pods fail with too many open files", Fix: "sudo sysctl fs.inotify.max_user_instances=512", Fixable: true,
		})
	}
	return &engine.Examination{Report: r}
}

func TestRun(t *testing.T) {
	t.Parallel()
	repaired := report(true)
	repaired.Fixed = []doctor.Fixed{{ID: doctor.IDInotifyInstances, Text: "raised", Files: []string{"/etc/sysctl.d/99-labctl.conf"}}}
	broken := errors.New("broken")
	tests := map[string]struct {
		fake   fake
		output ui.Format
		golden string
		code   int // of an error that the report tells already
		err    error
	}{
		"fit":           {fake: fake{res: report(true)}, output: ui.Text, golden: "fit.txt"},
		"unfit":         {fake: fake{res: report(false)}, output: ui.Text, golden: "unfit.txt", code: clierr.CodeUnfit},
		"unfit as JSON": {fake: fake{res: report(false)}, output: ui.JSON, golden: "unfit.json", code: clierr.CodeUnfit},
		"repaired":      {fake: fake{res: repaired}, output: ui.JSON, golden: "repaired.json"},
		"repair fails":  {fake: fake{res: report(false), err: broken}, output: ui.Text, golden: "unfit.txt", err: broken},
		"no report":     {fake: fake{err: broken}, output: ui.Text, err: broken},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := cmdtest.NewStreams()
			o := &Options{
				IO: s.IO, Output: tt.output, Console: s.Console,
				Engine: func() (Examiner, error) { return tt.fake, nil },
			}
			err := run(t.Context(), o)
			var reported *cmdutil.ReportedError
			switch {
			case tt.code != 0:
				if !errors.As(err, &reported) || reported.Code != tt.code {
					t.Errorf("error %v, want code %d", err, tt.code)
				}
			case !errors.Is(err, tt.err):
				t.Errorf("error %v, want %v", err, tt.err)
			}
			s.WantOut(t, tt.golden)
			s.WantErrOut(t, "==> Repair")
		})
	}
}

func TestNoEngine(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	s := cmdtest.NewStreams()
	if err := run(t.Context(), &Options{IO: s.IO, Engine: func() (Examiner, error) { return nil, broken }}); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}
