package check

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/check/probe"
	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/lab"
)

// fake answers probes by the name of the object, service or command.
type fake struct {
	mu    sync.Mutex
	calls map[string]int
	log   []string
	// see gets the name and how often it was asked before.
	see map[string]func(n int) (probe.Observation, error)
}

func (f *fake) Probe(_ context.Context, spec lab.Probe) (probe.Observation, error) {
	name := nameOf(spec)
	f.mu.Lock()
	if f.calls == nil {
		f.calls = make(map[string]int)
	}
	n := f.calls[name]
	f.calls[name]++
	f.log = append(f.log, name)
	see := f.see[name]
	f.mu.Unlock()
	if see == nil {
		return replicas(2), nil
	}
	return see(n)
}

func nameOf(spec lab.Probe) string {
	switch {
	case spec.Kube != nil:
		return spec.Kube.Name
	case spec.HTTP != nil:
		return spec.HTTP.Service
	case spec.Exec != nil:
		return spec.Exec.Argv[0]
	case spec.MLflow != nil:
		return "mlflow"
	default:
		return "promql"
	}
}

func replicas(n int) probe.Observation {
	return probe.Observation{Vars: map[string]any{"object": map[string]any{"spec": map[string]any{"replicas": int64(n)}}}}
}

func moving(o probe.Observation) probe.Observation {
	o.Moving = "pod predictor-x: starting"
	return o
}

func deploy(name string) lab.Probe {
	return lab.Probe{Kube: &lab.KubeProbe{APIVersion: "apps/v1", Kind: "Deployment", Name: name}}
}

// plain is a check that expects two replicas of the Deployment of its id.
func plain(id string, change ...func(*lab.Check)) lab.Check {
	c := lab.Check{
		ID: id, Points: 5, Probe: deploy(strings.ToLower(id)), Expect: "object.spec.replicas == 2",
		Values: map[string]string{"found": "object.spec.replicas", "expected": "2"},
		Fail:   lab.Fail{{Text: "Deployment predictor has {found} replicas; expected {expected}."}},
		Look:   "kubectl get deployment predictor", Why: "One pod is none.",
		Deadline: time.Minute, Interval: 2 * time.Second,
	}
	for _, f := range change {
		f(&c)
	}
	return c
}

func labOf(checks ...lab.Check) *lab.Lab {
	return &lab.Lab{Tasks: []lab.Task{{ID: "first", Checks: checks}}, Seed: &lab.Seed{Value: 7}}
}

func newRunner(t *testing.T, l *lab.Lab, p Prober, opts ...Option) *Runner {
	t.Helper()
	r, err := New(l, "lab-x", p, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func runAll(t *testing.T, r *Runner, req Request) []Result {
	t.Helper()
	results, err := r.Run(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return results
}

func only(t *testing.T, results []Result) Result {
	t.Helper()
	if len(results) != 1 {
		t.Fatalf("%d results", len(results))
	}
	return results[0]
}

func TestPassAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		res := only(t, runAll(t, newRunner(t, labOf(plain("MR1a")), &fake{}), Request{}))
		want := Result{
			ID: "MR1a", Task: "first", Status: StatusPass, Kind: "kube", Points: 5, Max: 5, Essential: true, Found: "2", Expected: "2",
			Where: "Deployment/mr1a", Attempts: 1, ObservedAt: time.Now(), Evidence: map[string]map[string]any{"": replicas(2).Vars},
		}
		if diff := cmp.Diff(want, res); diff != "" {
			t.Error(diff)
		}
	})
}

func TestFailAtOnceOnSettledLab(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{see: map[string]func(int) (probe.Observation, error){"mr1a": func(int) (probe.Observation, error) { return replicas(1), nil }}}
		start := time.Now()
		res := only(t, runAll(t, newRunner(t, labOf(plain("MR1a")), f), Request{}))
		if res.Status != StatusFail || res.Points != 0 || res.Attempts != 1 || time.Since(start) != 0 {
			t.Errorf("%+v", res)
		}
		if res.Message != "Deployment predictor has 1 replicas; expected 2." || res.Why == "" || res.Look == "" {
			t.Errorf("%+v", res)
		}
	})
}

func TestPollWhileMoving(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{see: map[string]func(int) (probe.Observation, error){"mr1a": func(n int) (probe.Observation, error) {
			if n < 5 {
				return moving(replicas(1)), nil
			}
			return moving(replicas(2)), nil
		}}}
		var waits []Result
		res := only(t, runAll(t, newRunner(t, labOf(plain("MR1a")), f), Request{OnWaiting: func(r Result) { waits = append(waits, r) }}))
		if res.Status != StatusPass || res.Attempts != 6 || res.Seconds < 9 || res.Seconds > 11 {
			t.Errorf("%+v", res)
		}
		if len(waits) != 5 || waits[0].Status != StatusWaiting ||
			waits[0].Message != "Deployment predictor has 1 replicas; expected 2. Not settled yet: pod predictor-x: starting (60 s left)." {
			t.Errorf("%+v", waits[0])
		}
	})
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{see: map[string]func(int) (probe.Observation, error){"mr1a": func(int) (probe.Observation, error) { return moving(replicas(1)), nil }}}
		start := time.Now()
		res := only(t, runAll(t, newRunner(t, labOf(plain("MR1a")), f), Request{}))
		if took := time.Since(start); res.Status != StatusFail || took < time.Minute || took > time.Minute+time.Second {
			t.Errorf("%+v after %s", res, took)
		}
		if want := "Deployment predictor has 1 replicas; expected 2. Still not settled after 60 s: pod predictor-x: starting."; res.Message != want {
			t.Errorf("%q", res.Message)
		}
	})
}

func TestHopelessEndsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{see: map[string]func(int) (probe.Observation, error){"mr1a": func(int) (probe.Observation, error) {
			o := moving(replicas(1))
			o.Hopeless = "pod predictor-x: ImagePullBackOff: can't pull model-server"
			return o, nil
		}}}
		start := time.Now()
		res := only(t, runAll(t, newRunner(t, labOf(plain("MR1a")), f), Request{}))
		if res.Status != StatusFail || time.Since(start) != 0 || !strings.HasSuffix(res.Message, "Waiting does not help: pod predictor-x: ImagePullBackOff: can't pull model-server.") {
			t.Errorf("%+v", res)
		}
	})
}

func TestPendingWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{see: map[string]func(int) (probe.Observation, error){"mr1a": func(n int) (probe.Observation, error) { return replicas(min(n, 2)), nil }}}
		l := labOf(plain("MR1a", func(c *lab.Check) { c.Pending = "object.spec.replicas < 2" }))
		if res := only(t, runAll(t, newRunner(t, l, f), Request{})); res.Status != StatusPass || res.Attempts != 3 {
			t.Errorf("%+v", res)
		}
	})
}

func TestNoWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{see: map[string]func(int) (probe.Observation, error){"mr1a": func(int) (probe.Observation, error) { return moving(replicas(1)), nil }}}
		l := labOf(plain("MR1a"), plain("MR1b", func(c *lab.Check) { c.StableFor = time.Minute }))
		results := runAll(t, newRunner(t, l, f), Request{NoWait: true})
		if results[0].Status != StatusWaiting || !strings.Contains(results[0].Message, "Not settled yet: pod predictor-x: starting.") {
			t.Errorf("%+v", results[0])
		}
		if results[1].Status != StatusWaiting || results[1].Message != "Holds now; it must go on to hold for 60 s." {
			t.Errorf("%+v", results[1])
		}
	})
}

func TestStableFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stable := func(c *lab.Check) { c.StableFor = 20 * time.Second }
		start := time.Now()
		res := only(t, runAll(t, newRunner(t, labOf(plain("MR1a", stable)), &fake{}), Request{}))
		if took := time.Since(start); res.Status != StatusPass || took < 20*time.Second || took > 23*time.Second {
			t.Errorf("%+v after %s", res, took)
		}
		flaky := func(settled bool) *fake {
			return &fake{see: map[string]func(int) (probe.Observation, error){"mr1a": func(n int) (probe.Observation, error) {
				if n == 3 {
					if settled {
						return replicas(1), nil
					}
					return moving(replicas(1)), nil
				}
				return replicas(2), nil
			}}}
		}
		res = only(t, runAll(t, newRunner(t, labOf(plain("MR1a", stable)), flaky(true)), Request{}))
		if res.Status != StatusFail || !strings.HasSuffix(res.Message, "It held for 6 s of 20 s, then no more.") {
			t.Errorf("%+v", res)
		}
		res = only(t, runAll(t, newRunner(t, labOf(plain("MR1a", stable)), flaky(false)), Request{}))
		if res.Status != StatusPass || res.Seconds < 27 {
			t.Errorf("%+v", res)
		}
	})
}

func TestTrouble(t *testing.T) {
	t.Parallel()
	passing := &probe.TroubleError{Err: errors.New("connection reset"), Passing: true}
	tests := map[string]struct {
		see      func(n int) (probe.Observation, error)
		status   Status
		attempts int
		message  string
		look     string
	}{
		"passes": {func(n int) (probe.Observation, error) {
			if n < 2 {
				return probe.Observation{}, passing
			}
			return replicas(2), nil
		}, StatusPass, 3, "", ""},
		"stays": {func(int) (probe.Observation, error) { return probe.Observation{}, passing }, StatusError, 11, "Could not look: Deployment/mr1a: connection reset", ""},
		"lasting": {func(int) (probe.Observation, error) {
			return probe.Observation{}, &probe.TroubleError{Err: clierr.New("Get a new kubeconfig.", "Unauthorized")}
		}, StatusError, 1, "Could not look: Deployment/mr1a: Unauthorized", "Get a new kubeconfig."},
		"starts": {func(n int) (probe.Observation, error) {
			if n < 10 {
				return probe.Observation{}, &probe.TroubleError{Err: errors.New("the workbench is not ready yet"), Moving: "pulling"}
			}
			return replicas(2), nil
		}, StatusPass, 11, "", ""},
		"panic": {func(int) (probe.Observation, error) { panic("index out of range") }, StatusError, 1, "Could not look: Deployment/mr1a: labctl stumbled over what it saw: index out of range", "This is a mistake in labctl; please report it with this output (--verbose shows all of it)."},
		"rubbish": {func(int) (probe.Observation, error) {
			return probe.Observation{Vars: map[string]any{"object": struct{}{}}}, nil
		}, StatusFail, 1, "Deployment predictor has nothing replicas; expected nothing.", "kubectl get deployment predictor"},
		"no variables": {func(int) (probe.Observation, error) { return probe.Observation{}, nil }, StatusFail, 1, "Deployment predictor has nothing replicas; expected 2.", "kubectl get deployment predictor"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := &fake{see: map[string]func(int) (probe.Observation, error){"mr1a": tt.see}}
				res := only(t, runAll(t, newRunner(t, labOf(plain("MR1a")), f), Request{}))
				if res.Status != tt.status || (res.Attempts < tt.attempts || res.Attempts > tt.attempts+1) || res.Message != tt.message || res.Look != tt.look && res.Status != StatusPass {
					t.Errorf("%+v", res)
				}
			})
		})
	}
}

func TestNeverHangs(t *testing.T) {
	t.Parallel()
	stuck := func(from, to int) *fake { // ignores its context
		return &fake{see: map[string]func(int) (probe.Observation, error){"mr1a": func(n int) (probe.Observation, error) {
			if from <= n && n <= to {
				<-time.After(time.Hour)
			}
			return moving(replicas(1)), nil
		}}}
	}
	short := plain("MR1a", func(c *lab.Check) { c.Deadline = 10 * time.Second })
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		res := only(t, runAll(t, newRunner(t, labOf(plain("MR1a")), stuck(1, 1)), Request{}))
		if took := time.Since(start); res.Status != StatusFail || took > 65*time.Second {
			t.Errorf("%+v after %s", res, took)
		}
		res = only(t, runAll(t, newRunner(t, labOf(short), stuck(1, 1)), Request{}))
		if res.Status != StatusFail || !strings.Contains(res.Message, "has 1 replicas") || res.Seconds > 11 {
			t.Errorf("the look before the one that was cut off should count: %+v", res)
		}
		res = only(t, runAll(t, newRunner(t, labOf(short), stuck(0, 9)), Request{}))
		if res.Status != StatusError || res.Message != "Could not look: Deployment/mr1a: it took too long" || res.Seconds > 90 {
			t.Errorf("%+v", res)
		}
		<-time.After(2 * time.Hour) // until the last look has ended
	})
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{see: map[string]func(int) (probe.Observation, error){"mr1b": func(int) (probe.Observation, error) { return moving(replicas(1)), nil }}}
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(5*time.Second, func() { cancel(clierr.ErrInterrupted) })
		results, err := newRunner(t, labOf(plain("MR1a"), plain("MR1b")), f).Run(ctx, Request{})
		if !errors.Is(err, clierr.ErrInterrupted) || len(results) != 1 || results[0].ID != "MR1a" {
			t.Errorf("%v, %+v", err, results)
		}
	})
}

func TestAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{see: map[string]func(int) (probe.Observation, error){"mr1a": func(int) (probe.Observation, error) { return replicas(1), nil }}}
		l := labOf(
			plain("MR1c", func(c *lab.Check) { c.After = []string{"MR1a", "MR1b"} }),
			plain("MR1d", func(c *lab.Check) { c.After = []string{"MR1c", "MR1a"} }),
			plain("MR1a"), plain("MR1b"),
		)
		results := runAll(t, newRunner(t, l, f), Request{})
		if diff := cmp.Diff([]string{"MR1c blocked", "MR1d blocked", "MR1a fail", "MR1b pass"}, brief(results)); diff != "" {
			t.Error(diff)
		}
		if results[0].Message != "Blocked until MR1a passes." || results[1].Message != "Blocked until MR1c and MR1a pass." {
			t.Error(results[0].Message, results[1].Message)
		}
		results = runAll(t, newRunner(t, l, &fake{}), Request{Checks: []string{"MR1c"}})
		if diff := cmp.Diff([]string{"MR1c pass", "MR1a pass along", "MR1b pass along"}, brief(results)); diff != "" {
			t.Error(diff)
		}
	})
}

func brief(results []Result) []string {
	var list []string
	for _, r := range results {
		line := r.ID + " " + string(r.Status)
		if r.Along {
			line += " along"
		}
		list = append(list, line)
	}
	return list
}

func TestLatched(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{see: map[string]func(int) (probe.Observation, error){
			"mr1a": func(int) (probe.Observation, error) { return replicas(1), nil },
			"mr1b": func(int) (probe.Observation, error) { return replicas(1), nil },
		}}
		l := labOf(plain("MR1a", func(c *lab.Check) { c.Latch = true }), plain("MR1b"))
		kept := Result{Status: StatusPass, Found: "2", Attempts: 4}
		results := runAll(t, newRunner(t, l, f), Request{Latched: map[string]Result{"MR1a": kept, "MR1b": kept}})
		if diff := cmp.Diff([]string{"MR1a pass", "MR1b fail"}, brief(results)); diff != "" || !results[0].Latched || results[0].Points != 5 || results[0].Found != "2" {
			t.Errorf("%s %+v", diff, results[0])
		}
		results = runAll(t, newRunner(t, l, f), Request{Latched: map[string]Result{"MR1a": {Status: StatusFail}}})
		if results[0].Status != StatusFail {
			t.Errorf("%+v", results[0])
		}
	})
}

func TestUnknownRequest(t *testing.T) {
	t.Parallel()
	r := newRunner(t, labOf(plain("MR1a")), &fake{})
	for _, req := range []Request{{Checks: []string{"MR1b"}}, {Tasks: []string{"frist"}}} {
		if _, err := r.Run(t.Context(), req); clierr.Code(err) != clierr.CodeUsage || !strings.Contains(err.Error(), "did you mean") {
			t.Error(err)
		}
	}
}

func TestEqualProbesAreShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		same := func(c *lab.Check) { c.Probe = deploy("predictor") }
		var checks []lab.Check
		for i := range 10 {
			checks = append(checks, plain(fmt.Sprintf("MR1%c", 'a'+i), same))
		}
		f := &fake{}
		runAll(t, newRunner(t, labOf(checks...), f), Request{})
		if f.calls["predictor"] != 1 {
			t.Error(f.calls)
		}
	})
}

func TestBounds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var checks []lab.Check
		for i := range 20 {
			checks = append(checks, plain(fmt.Sprintf("MR%da", i)))
		}
		for i := range 5 {
			checks = append(checks, plain(fmt.Sprintf("MR%db", i), func(c *lab.Check) {
				c.Probe, c.Expect = lab.Probe{Exec: &lab.ExecProbe{Argv: []string{fmt.Sprint("tool", i)}}}, "exitCode == 0"
				c.Values = map[string]string{"found": "exitCode", "expected": "0"}
			}))
		}
		p := &slow{}
		start := time.Now()
		results := runAll(t, newRunner(t, labOf(checks...), p), Request{})
		if p.most > sideBySide || p.mostExecs > execsAtOnce || time.Since(start) > 2*time.Minute {
			t.Errorf("%+v after %s", p, time.Since(start))
		}
		for _, r := range results {
			if r.Status != StatusPass {
				t.Errorf("%+v", r)
			}
		}
	})
}

// slow takes 20 s for each look and counts how many there are at once.
type slow struct {
	mu                          sync.Mutex
	now, most, execs, mostExecs int
}

func (s *slow) Probe(_ context.Context, spec lab.Probe) (probe.Observation, error) {
	add := func(n int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.now += n
		s.most = max(s.most, s.now)
		if spec.Exec != nil {
			s.execs += n
			s.mostExecs = max(s.mostExecs, s.execs)
		}
	}
	add(1)
	defer add(-1)
	<-time.After(20 * time.Second)
	if spec.Exec != nil {
		return probe.Observation{Vars: map[string]any{"exitCode": int64(0)}}, nil
	}
	return replicas(2), nil
}

func TestNewListsEveryMistake(t *testing.T) {
	t.Parallel()
	l := labOf(
		plain("MR1a", func(c *lab.Check) {
			c.Expect, c.Pending, c.After = "objct == null", "1", []string{"MR1b", "MR9z"}
			c.Values["found"] = "object."
			c.Fail = lab.Fail{{When: "values.fond == 1", Text: "x"}, {Text: "y"}}
			c.With = map[string]lab.Probe{"object": deploy("x")}
		}),
		plain("MR1b", func(c *lab.Check) { c.After = []string{"MR1a"} }),
		plain("MR1c"), plain("MR1c"),
	)
	_, err := New(l, "lab-x", &fake{})
	var invalid *lab.InvalidError
	if !errors.As(err, &invalid) {
		t.Fatal(err)
	}
	for _, want := range []string{
		"tasks[0].checks[0].expect: 1:1: a probe can't be called object: the name is taken", "tasks[0].checks[3].id: \"MR1c\" is there twice",
		"MR1a after MR1b after MR1a", "MR1a is to run after MR9z",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not in\n%v", want, err)
		}
	}
	l.Tasks[0].Checks[0].With = nil
	_, err = New(l, "lab-x", &fake{})
	for _, want := range []string{
		"checks[0].expect: 1:1: unknown name objct; did you mean object or objects?", "checks[0].pending: 1:1: must be true or false",
		"checks[0].values.found: 1:8: Syntax error", "checks[0].fail[0].when: 1:7: unknown field fond; did you mean found?",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not in\n%v", want, err)
		}
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	l := labOf(plain("MR1a"))
	r := newRunner(t, l, &fake{}, WithExpect(map[string]string{"MR1a": "object.spec.replicas == 3"}))
	evidence := map[string]map[string]any{"": replicas(2).Vars}
	if res := r.Judge(&l.Tasks[0].Checks[0], evidence); res.Status != StatusFail {
		t.Errorf("%+v", res)
	}
	r = newRunner(t, l, &fake{})
	if res := r.Judge(&l.Tasks[0].Checks[0], evidence); res.Status != StatusPass {
		t.Errorf("%+v", res)
	}
	if res := r.Judge(&lab.Check{ID: "MR9z"}, evidence); res.Status != StatusError {
		t.Errorf("%+v", res)
	}
}
