package open

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/internal/golden"
	"labctl.dev/labctl/pkg/iostreams"
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
	tests := map[string]struct {
		args []string
		want given
		code int
	}{
		"a lab":      {args: []string{"x"}, want: given{Lab: "x", Output: ui.Text}},
		"everything": {args: []string{"x", "s3", "-p", "5000", "--no-browser", "-ojson"}, want: given{Lab: "x", Endpoint: "s3", Port: 5000, NoBrowser: true, Output: ui.JSON}},
		"another cluster": {
			args: []string{"x", "--context", "c"}, want: given{Lab: "x", Target: engine.Target{Context: "c"}, Output: ui.Text},
		},
		"highest port":  {args: []string{"x", "-p", "65535"}, want: given{Lab: "x", Port: 65535, Output: ui.Text}},
		"port too high": {args: []string{"x", "-p", "65536"}, code: clierr.CodeUsage},
		"port below 0":  {args: []string{"x", "--port=-1"}, code: clierr.CodeUsage},
		"no lab":        {code: clierr.CodeUsage},
		"too many":      {args: []string{"x", "y", "z"}, code: clierr.CodeUsage},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			streams, _, _, _ := iostreams.Test()
			var got given
			cmd := NewCmd(&cmdutil.Factory{IO: streams}, func(_ context.Context, o *Options) error {
				got = given{o.Open.Lab, o.Open.Endpoint, o.Open.Port, o.Open.Target, o.NoBrowser, o.Output}
				return nil
			})
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
			cmd.SetArgs(append([]string{}, tt.args...)) // nil means those of the process
			if err := cmd.ExecuteContext(t.Context()); clierr.Code(err) != tt.code {
				t.Fatalf("exit code %d, want %d: %v", clierr.Code(err), tt.code, err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("options (-want +got):\n%s", diff)
			}
		})
	}
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
			streams, _, out, errOut := iostreams.Test()
			streams.SetTTY(tt.tty)
			browsed := false
			o := &Options{
				IO: streams, Output: tt.output, NoBrowser: tt.noBrowser, Open: engine.OpenOptions{Lab: "model-registry"},
				Console: func() *ui.Console { return ui.NewConsole(streams, true) },
				Engine:  func() (Opener, error) { return fake{}, nil },
				Browse: func(_ context.Context, url string) error {
					browsed = url == "http://127.0.0.1:5000/"
					return tt.browse
				},
			}
			if err := run(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			golden.Equal(t, out.Bytes(), tt.golden)
			if browsed != tt.browsed {
				t.Errorf("browser started: %v, want %v", browsed, tt.browsed)
			}
			for _, note := range []string{"MLflow UI answers there", "connection lost", tt.note} {
				if !strings.Contains(errOut.String(), note) {
					t.Errorf("no %q on stderr: %q", note, errOut)
				}
			}
		})
	}
}

func TestEnds(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	ctx, cancel := context.WithCancelCause(t.Context())
	streams, _, _, _ := iostreams.Test()
	o := &Options{
		IO: streams, Console: func() *ui.Console { return ui.NewConsole(streams, true) },
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
