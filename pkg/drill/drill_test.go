package drill

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"labctl.dev/labctl/pkg/check/probe"
	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/kube"
	"labctl.dev/labctl/pkg/lab"
)

const (
	plainYAML = "# what the learner would write\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\n# nothing\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: b, namespace: lab-x}\n"
	plainJSON = `{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"}},{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"d"}}]}`
)

// fake is the cluster of a Runner: it keeps what is done.
type fake struct {
	did   []string
	exec  func(context.Context, kube.Exec) error
	apply error
	looks []probe.Observation // the last one stays
	err   error               // of a look
}

func (f *fake) runner(files map[string]string) *Runner {
	m := fstest.MapFS{}
	for name, data := range files {
		m[name] = &fstest.MapFile{Data: []byte(data)}
	}
	return &Runner{
		namespace: "lab-x", files: m, prober: f, lab: &lab.Lab{Seed: &lab.Seed{Value: 7}}, poll: time.Millisecond,
		apply: func(_ context.Context, o *unstructured.Unstructured) error {
			f.did = append(f.did, fmt.Sprintf("apply %s/%s/%s", o.GetNamespace(), o.GetKind(), o.GetName()))
			return f.apply
		},
		exec: func(ctx context.Context, e kube.Exec) error {
			f.did = append(f.did, strings.Join(append([]string{"exec", e.Selector}, e.Command...), " "))
			if f.exec == nil {
				return nil
			}
			return f.exec(ctx, e)
		},
	}
}

func (f *fake) Probe(ctx context.Context, _ lab.Probe) (probe.Observation, error) {
	f.did = append(f.did, "look")
	if f.err != nil || ctx.Err() != nil {
		return probe.Observation{}, errors.Join(f.err, ctx.Err())
	}
	o := f.looks[0]
	if len(f.looks) > 1 {
		f.looks = f.looks[1:]
	}
	return o, nil
}

func run(argv ...string) lab.Step {
	return lab.Step{Exec: &lab.ExecProbe{Argv: argv}}
}

func waitFor(expect string, deadline time.Duration) lab.Step {
	return lab.Step{Wait: &lab.Wait{Probe: lab.Probe{HTTP: &lab.HTTPProbe{Service: "s", Port: 80, Path: "/"}}, Expect: expect, Deadline: deadline}}
}

func TestRun(t *testing.T) {
	t.Parallel()
	f := &fake{looks: []probe.Observation{{Vars: map[string]any{"status": 0}}, {Vars: map[string]any{"status": 200}}}}
	r := f.runner(map[string]string{"a.yaml": plainYAML, "b.json": plainJSON})
	var told []string
	err := r.Run(t.Context(), []lab.Step{
		{Apply: "a.yaml"}, {Apply: "b.json"}, run("registry", "pin"), waitFor("status == 200 && lab.seed == 7 && lab.namespace == 'lab-x'", time.Minute),
	}, func(i, n int, text string) { told = append(told, fmt.Sprintf("%d/%d %s", i, n, text)) })
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"apply lab-x/ConfigMap/a", "apply lab-x/Secret/b", "apply lab-x/ConfigMap/c", "apply lab-x/ConfigMap/d",
		"exec app=workbench registry pin", "look", "look",
	}
	if diff := cmp.Diff(want, f.did); diff != "" {
		t.Errorf("did (-want +got):\n%s", diff)
	}
	if len(told) != 4 || told[0] != "1/4 apply a.yaml" || told[2] != "3/4 run registry pin" {
		t.Errorf("told %q", told)
	}
}

// TestRead: a mistake in any step is found before the first one runs.
func TestRead(t *testing.T) {
	t.Parallel()
	object := func(kind, meta string) string { return "apiVersion: v1\nkind: " + kind + "\nmetadata: " + meta + "\n" }
	tests := map[string]struct {
		file string
		step lab.Step
		want string
	}{
		"no file":          {step: lab.Step{Apply: "b.yaml"}, want: "not exist"},
		"outside":          {step: lab.Step{Apply: "../b.yaml"}, want: "../b.yaml"},
		"empty":            {file: "# nothing\n", want: "has no objects"},
		"no YAML":          {file: "a: b: c", want: "document 1"},
		"not an object":    {file: "[1, 2]", want: "document 1"},
		"no kind":          {file: "apiVersion: v1\nmetadata: {name: a}\n", want: "apiVersion and kind"},
		"no name":          {file: object("ConfigMap", "{labels: {a: b}}"), want: "needs metadata.name"},
		"second document":  {file: object("ConfigMap", "{name: a}") + "---\n" + object("Secret", "{}"), want: "document 2 of f.yaml: Secret needs"},
		"other namespace":  {file: object("ConfigMap", "{name: a, namespace: kube-system}"), want: `in namespace "kube-system"`},
		"other, in a list": {file: `{"apiVersion":"v1","kind":"List","items":[` + `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"y"}}]}`, want: `in namespace "y"`},
		"too large":        {file: object("ConfigMap", "{name: a}") + "# " + strings.Repeat("x", maxManifest), want: "larger than 1024 KiB"},
		"nothing to do":    {want: "says nothing to do"},
		"CEL":              {step: waitFor("status ==", 0), want: "expect"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fake{}
			step := tt.step
			if tt.file != "" {
				step = lab.Step{Apply: "f.yaml"}
			}
			err := f.runner(map[string]string{"f.yaml": tt.file}).Run(t.Context(), []lab.Step{run("first"), step}, nil)
			var failed *StepError
			if !errors.As(err, &failed) || failed.Index != 2 || failed.N != 2 || !strings.Contains(err.Error(), tt.want) || failed.Hint == "" {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if len(f.did) > 0 {
				t.Errorf("did %q", f.did)
			}
		})
	}
}

func TestClusterScoped(t *testing.T) {
	t.Parallel()
	f := &fake{apply: fmt.Errorf("ClusterRole %w", kube.ErrClusterScoped)}
	err := f.runner(map[string]string{"f.yaml": "apiVersion: v1\nkind: ClusterRole\nmetadata: {name: a}\n"}).Run(t.Context(), []lab.Step{{Apply: "f.yaml"}}, nil)
	if err == nil || !strings.Contains(err.Error(), "ClusterRole a of f.yaml: a lab stays in its namespace") {
		t.Error(err)
	}
}

func TestExec(t *testing.T) {
	t.Parallel()
	t.Run("exit code", func(t *testing.T) {
		t.Parallel()
		f := &fake{exec: func(_ context.Context, e kube.Exec) error {
			for i := range 100 {
				_, _ = fmt.Fprintf(e.Stdout, "line %d\n", i)
			}
			_, _ = fmt.Fprintln(e.Stderr, "no such model")
			return &kube.ExitError{Command: "registry", Code: 3}
		}}
		err := f.runner(nil).Run(t.Context(), []lab.Step{run("registry", "pin", "x")}, nil)
		var failed *StepError
		if !errors.As(err, &failed) {
			t.Fatal(err)
		}
		if err.Error() != "step 1 of 1 (run registry pin x): registry: exit status 3" || !strings.Contains(failed.Hint, "output says why") {
			t.Errorf("%v; %s", err, failed.Hint)
		}
		lines := strings.Split(failed.Output, "\n")
		if len(lines) != tailLines || lines[tailLines-1] != "no such model" {
			t.Errorf("output %q", failed.Output)
		}
	})
	t.Run("a pod that restarts", func(t *testing.T) {
		t.Parallel()
		n := 0
		f := &fake{exec: func(context.Context, kube.Exec) error {
			n++
			return []error{kube.ErrNoPod, fmt.Errorf("pod x %w", kube.ErrNotRunning), nil}[n-1]
		}}
		if err := f.runner(nil).Run(t.Context(), []lab.Step{run("a")}, nil); err != nil || n != 3 {
			t.Errorf("%v after %d", err, n)
		}
	})
	t.Run("no pod at all", func(t *testing.T) {
		t.Parallel()
		f := &fake{exec: func(context.Context, kube.Exec) error { return kube.ErrNoPod }}
		s := run("a")
		s.Exec.Timeout = 10 * time.Millisecond
		if err := f.runner(nil).Run(t.Context(), []lab.Step{s}, nil); !errors.Is(err, kube.ErrNoPod) {
			t.Error(err)
		}
	})
	t.Run("takes too long", func(t *testing.T) {
		t.Parallel()
		f := &fake{exec: func(ctx context.Context, _ kube.Exec) error { <-ctx.Done(); return context.Cause(ctx) }}
		s := run("a")
		s.Exec.Timeout = 10 * time.Millisecond
		err := f.runner(nil).Run(t.Context(), []lab.Step{s}, nil)
		if err == nil || !strings.Contains(err.Error(), "has not ended after 10ms") {
			t.Error(err)
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancelCause(t.Context())
		f := &fake{exec: func(ctx context.Context, _ kube.Exec) error {
			cancel(clierr.ErrInterrupted)
			<-ctx.Done()
			return context.Cause(ctx)
		}}
		err := f.runner(nil).Run(ctx, []lab.Step{run("a"), run("b")}, nil)
		if clierr.Code(err) != clierr.CodeInterrupted || len(f.did) != 1 {
			t.Errorf("%v after %q", err, f.did)
		}
	})
}

func TestWait(t *testing.T) {
	t.Parallel()
	status := func(n int) probe.Observation {
		return probe.Observation{Vars: map[string]any{"status": n, "json": nil}, Where: "GET s:80/"}
	}
	tests := map[string]struct {
		fake   fake
		expect string
		want   string // in the error
		output string
	}{
		"at once":                  {fake: fake{looks: []probe.Observation{status(200)}}, expect: "status == 200"},
		"what is missing":          {fake: fake{looks: []probe.Observation{status(200)}}, expect: "json.a == 1", want: "not as expected after", output: "expected: json.a == 1"},
		"why it moves":             {fake: fake{looks: []probe.Observation{{Vars: map[string]any{"status": 0}, Moving: "1 of 2 pods"}}}, expect: "status == 200", want: "not as expected", output: "1 of 2 pods"},
		"hopeless":                 {fake: fake{looks: []probe.Observation{{Vars: map[string]any{"status": 0}, Where: "pod x", Hopeless: "ImagePullBackOff"}}}, expect: "status == 200", want: "pod x: ImagePullBackOff"},
		"as expected all the same": {fake: fake{looks: []probe.Observation{{Vars: map[string]any{"status": 200}, Hopeless: "gone"}}}, expect: "status == 200"},
		"trouble":                  {fake: fake{err: errors.New("connection refused")}, expect: "status == 200", want: "not as expected", output: "trouble: connection refused"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			deadline := 50 * time.Millisecond
			if tt.want == "" {
				deadline = time.Minute
			}
			err := tt.fake.runner(nil).Run(t.Context(), []lab.Step{waitFor(tt.expect, deadline)}, nil)
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var failed *StepError
			if !errors.As(err, &failed) || !strings.Contains(err.Error(), tt.want) || !strings.Contains(failed.Output, tt.output) {
				t.Errorf("%v with %q", err, failed)
			}
		})
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	if got := Text(run("sh", "-c", "set -e\n  "+strings.Repeat("x", 100))); strings.Contains(got, "\n") || !strings.HasSuffix(got, "…") || len([]rune(got)) > 80 {
		t.Errorf("%q", got)
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	var out tail
	_, _ = out.Write(bytes.Repeat([]byte("0123456789\n"), 2000))
	_, _ = out.Write([]byte("end\xff\n\n"))
	lines := strings.Split(out.String(), "\n")
	if len(lines) != tailLines || lines[0] != "0123456789" || lines[tailLines-1] != "end?" {
		t.Errorf("%q", lines)
	}
	if (&tail{}).String() != "" {
		t.Error("nothing is something")
	}
}
