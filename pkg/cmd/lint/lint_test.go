package lint

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/catalog"
	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/cmdutil"
	"labctl.dev/labctl/pkg/internal/golden"
	"labctl.dev/labctl/pkg/iostreams"
	"labctl.dev/labctl/pkg/lint"
	"labctl.dev/labctl/pkg/ui"
)

// given is the part of the options that the command line gives.
type given struct {
	Labs   []string
	Output ui.Format
}

func TestArguments(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args []string
		want given
		code int
	}{
		"none":      {want: given{[]string{}, ui.Text}},
		"labs":      {args: []string{"a", "./b", "-o", "json"}, want: given{[]string{"a", "./b"}, ui.JSON}},
		"bad flags": {args: []string{"-o", "xml"}, code: clierr.CodeFailed},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			streams, _, _, _ := iostreams.Test()
			var got given
			cmd := NewCmd(&cmdutil.Factory{IO: streams}, func(_ context.Context, o *Options) error {
				got = given{o.Labs, o.Output}
				return nil
			})
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
			cmd.SetArgs(append([]string{}, tt.args...)) // nil means those of the process
			if err := cmd.ExecuteContext(t.Context()); clierr.Code(err) != tt.code {
				t.Fatalf("exit code %d, want %d: %v", clierr.Code(err), tt.code, err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// fake finds what it is told to.
type fake map[string][]lint.Finding

func (f fake) Lint(_ context.Context, dir, name string, _ fs.FS) ([]lint.Finding, error) {
	if f[name] == nil {
		return nil, errors.New("unreadable")
	}
	found := []lint.Finding{}
	for _, x := range f[name] {
		x.File = path.Join(dir, x.File)
		found = append(found, x)
	}
	return found, nil
}

func TestRun(t *testing.T) {
	t.Parallel()
	found := fake{
		"fine": {},
		"told": {{ID: "file-unused", Severity: lint.Note, File: "a.yaml", Message: "nothing names it"}},
		"bad": {
			{ID: "file-missing", Severity: lint.Error, File: "lab.yaml", Line: 7, Column: 3, Field: "tasks[0].brief", Message: "there is no file a.md"},
			{ID: "file-unused", Severity: lint.Note, File: "a.yaml", Message: "nothing names it"},
		},
	}
	tests := map[string]struct {
		labs   []string
		output ui.Format
		code   int
	}{
		"fine.txt":  {labs: []string{"fine"}, output: ui.Text},
		"fine.json": {labs: []string{"fine"}, output: ui.JSON},
		"told.txt":  {labs: []string{"told"}, output: ui.Text},
		"all.txt":   {output: ui.Text, code: clierr.CodeCheck},
		"all.json":  {output: ui.JSON, code: clierr.CodeCheck},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			streams, _, out, _ := iostreams.Test()
			o := &Options{IO: streams, Labs: tt.labs, Output: tt.output, Catalog: labs, Linter: func() (Linter, error) { return found, nil }}
			err := run(t.Context(), o)
			var reported *cmdutil.ReportedError
			if errors.As(err, &reported) != (tt.code != 0) || reported != nil && reported.Code != tt.code {
				t.Errorf("error %v, want exit code %d", err, tt.code)
			}
			golden.Equal(t, out.Bytes(), name)
		})
	}
}

func labs() (*catalog.Catalog, error) {
	return catalog.New(fstest.MapFS{"fine/lab.yaml": {}, "told/lab.yaml": {}, "bad/lab.yaml": {}}), nil
}

func TestErrors(t *testing.T) {
	t.Parallel()
	streams, _, _, _ := iostreams.Test()
	o := &Options{IO: streams, Labs: []string{"fin"}, Catalog: labs, Linter: func() (Linter, error) { return fake{}, nil }}
	if err := run(t.Context(), o); clierr.Code(err) != clierr.CodeUsage || !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("error %v, want a lab that is not there", err)
	}
	o.Labs = []string{"fine"}
	if err := run(t.Context(), o); err == nil {
		t.Error("a lab that can't be read has no error")
	}
}
