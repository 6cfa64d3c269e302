package open

import (
	"context"
	"errors"
	"testing"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil/cmdtest"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/ui"
)

// given is the part of the options that the command line gives.
type given struct {
	Lab, Endpoint string
	Port          int
	Target        engine.Target
	NoBrowser     bool
	Output        ui.Format
}

func TestArguments(t *testing.T) {
	t.Parallel()
	cmdtest.Lines(t, NewCmd, func(o *Options) given {
		return given{o.Open.Lab, o.Open.Endpoint, o.Open.Port, o.Open.Target, o.NoBrowser, o.Output}
	}, map[string]cmdtest.Line[given]{
		"a lab":      {Args: []string{"x"}, Want: given{Lab: "x", Output: ui.Text}},
		"everything": {Args: []string{"x", "s3", "-p", "5000", "--no-browser", "-ojson"}, Want: given{Lab: "x", Endpoint: "s3", Port: 5000, NoBrowser: true, Output: ui.JSON}},
		"another cluster": {
			Args: []string{"x", "--context", "c"}, Want: given{Lab: "x", Target: engine.Target{Context: "c"}, Output: ui.Text},
		},
		"highest port":  {Args: []string{"x", "-p", "65535"}, Want: given{Lab: "x", Port: 65535, Output: ui.Text}},
		"port too high": {Args: []string{"x", "-p", "65536"}, Code: clierr.CodeUsage},
		"port below 0":  {Args: []string{"x", "--port=-1"}, Code: clierr.CodeUsage},
		"no lab":        {Code: clierr.CodeUsage},
		"too many":      {Args: []string{"x", "y", "z"}, Code: clierr.CodeUsage},
	})
}

// fake opens at once and ends as it is told.
type fake struct {
	end func() error
	err error
}

func (f fake) Open(_ context.Context, o engine.OpenOptions) error {
	if err := o.Ready(engine.Endpoint{Name: "mlflow", Title: "MLflow UI"}, "http://127.0.0.1:5000/"); err != nil {
		return err
	}
	o.Note("connection lost")
	if f.end != nil {
		return f.end()
	}
	return f.err
}

func TestRun(t *testing.T) {
	t.Parallel()
	noBrowser := errors.New("no browser")
	tests := map[string]struct {
		tty       bool
		noBrowser bool
		browse    error
		output    ui.Format
		golden    string
		browsed   bool
		note      string
	}{
		"a pipe":          {output: ui.Text, golden: "url.txt"},
		"JSON":            {output: ui.JSON, golden: "url.json"},
		"a terminal":      {tty: true, output: ui.Text, golden: "url.txt", browsed: true},
		"unwanted":        {tty: true, noBrowser: true, output: ui.Text, golden: "url.txt"},
		"without browser": {tty: true, browse: noBrowser, output: ui.Text, golden: "url.txt", browsed: true, note: "open the URL yourself"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := cmdtest.NewStreams()
			s.IO.SetTTY(tt.tty)
			browsed := false
			o := &Options{
				IO: s.IO, Output: tt.output, NoBrowser: tt.noBrowser, Open: engine.OpenOptions{Lab: "model-registry"},
				Console: s.Console,
				Engine:  func() (Opener, error) { return fake{}, nil },
				Browse: func(_ context.Context, url string) error {
					browsed = url == "http://127.0.0.1:5000/"
					return tt.browse
				},
			}
			if err := run(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			s.WantOut(t, tt.golden)
			if browsed != tt.browsed {
				t.Errorf("browser started: %v, want %v", browsed, tt.browsed)
			}
			s.WantErrOut(t, "MLflow UI answers there", "connection lost", tt.note)
		})
	}
}

func TestEnds(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	ctx, cancel := context.WithCancelCause(t.Context())
	s := cmdtest.NewStreams()
	o := &Options{
		IO: s.IO, Console: s.Console,
		Engine: func() (Opener, error) {
			return fake{end: func() error {
				cancel(clierr.ErrInterrupted)
				return context.Canceled
			}}, nil
		},
	}
	if err := run(ctx, o); err != nil {
		t.Errorf("Ctrl-C is how the command ends, not %v", err)
	}
	o.Engine = func() (Opener, error) { return fake{err: broken}, nil }
	if err := run(t.Context(), o); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	o.Engine = func() (Opener, error) { return nil, broken }
	if err := run(t.Context(), o); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}
