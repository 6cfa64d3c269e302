package check

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"labctl.dev/labctl/pkg/check/probe"
	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/lab"
)

func TestActive(t *testing.T) {
	t.Parallel()
	active := func(c *lab.Check) { c.Active = "restarts predictor, about 40 s" }
	l := labOf(
		plain("MR1a", active),
		plain("MR1b", active, func(c *lab.Check) { c.After = []string{"MR1c"} }),
		plain("MR1c", func(c *lab.Check) { c.After = []string{"MR1a"} }),
		plain("MR1d"),
	)
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		results := runAll(t, newRunner(t, l, f), Request{})
		if diff := cmp.Diff([]string{"MR1a skipped", "MR1b blocked", "MR1c blocked", "MR1d pass"}, brief(results)); diff != "" {
			t.Error(diff)
		}
		if results[0].Message != "Not run: it restarts predictor, about 40 s." {
			t.Error(results[0].Message)
		}
		if diff := cmp.Diff([]string{"mr1d"}, f.log); diff != "" {
			t.Error(diff)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		var held, most atomic.Int32
		f := &fake{}
		exclusive := WithExclusive(func(ctx context.Context) (context.Context, func(), error) {
			most.Store(max(most.Load(), held.Add(1)))
			return ctx, func() { held.Add(-1) }, nil
		})
		var order []string
		results := runAll(t, newRunner(t, l, f, exclusive), Request{Active: true, OnResult: func(r Result) { order = append(order, r.ID) }})
		if diff := cmp.Diff([]string{"MR1a pass", "MR1b pass", "MR1c pass", "MR1d pass"}, brief(results)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"MR1d", "MR1a", "MR1c", "MR1b"}, order); diff != "" || most.Load() != 1 || held.Load() != 0 {
			t.Error(diff, most.Load(), held.Load())
		}
		results = runAll(t, newRunner(t, l, f), Request{Only: map[string]bool{"MR1a": true}})
		if diff := cmp.Diff([]string{"MR1a pass", "MR1b skipped", "MR1c pass", "MR1d pass"}, brief(results)); diff != "" {
			t.Error(diff)
		}
		busy := WithExclusive(func(context.Context) (context.Context, func(), error) {
			return nil, nil, clierr.New("Wait for it.", "another active check runs")
		})
		results = runAll(t, newRunner(t, l, f, busy), Request{Active: true})
		if results[0].Status != StatusError || results[0].Message != "Could not look: another active check runs" || results[0].Look != "Wait for it." {
			t.Errorf("%+v", results[0])
		}
	})
}

// TestActiveLosesItsRight: it ends, and says why, before another one begins.
func TestActiveLosesItsRight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{see: map[string]func(int) (probe.Observation, error){
			"mr1a": func(int) (probe.Observation, error) {
				time.Sleep(2 * time.Second) //nolint:forbidigo // the time of the bubble
				return replicas(3), nil
			},
		}}
		l := labOf(plain("MR1a", func(c *lab.Check) { c.Active = "restarts predictor" }))
		exclusive := WithExclusive(func(ctx context.Context) (context.Context, func(), error) {
			held, cancel := context.WithTimeoutCause(ctx, time.Second, errors.New("the lease is gone"))
			return held, cancel, nil
		})
		res := only(t, runAll(t, newRunner(t, l, f, exclusive), Request{Active: true}))
		if res.Status != StatusError || res.Message != "Could not look: the lease is gone" {
			t.Errorf("%+v", res)
		}
		time.Sleep(time.Minute) //nolint:forbidigo // the time of the bubble; the probe that nobody waits for ends, too
	})
}

func TestActivePerturbsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{see: map[string]func(int) (probe.Observation, error){
			"mr1a":  func(int) (probe.Observation, error) { return moving(replicas(2)), nil },
			"after": func(n int) (probe.Observation, error) { return moving(replicas(n)), nil },
		}}
		l := labOf(plain("MR1a", func(c *lab.Check) {
			c.Active = "restarts predictor"
			c.With = map[string]lab.Probe{"after": deploy("after")}
			c.Expect = "after.object.spec.replicas == 3"
		}))
		res := only(t, runAll(t, newRunner(t, l, f), Request{Active: true}))
		if res.Status != StatusPass || f.calls["mr1a"] != 1 || f.calls["after"] != 4 || f.log[0] != "mr1a" {
			t.Errorf("%+v, %v", res, f.calls)
		}
	})
}

func TestActiveIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{see: map[string]func(int) (probe.Observation, error){
			"mr1a": func(int) (probe.Observation, error) {
				return probe.Observation{}, &probe.TroubleError{Err: errors.New("connection reset"), Passing: true}
			},
			"mr1b": func(n int) (probe.Observation, error) {
				if n < 3 {
					return probe.Observation{}, &probe.TroubleError{Err: errors.New("not ready"), Moving: "starting"}
				}
				return replicas(2), nil
			},
		}}
		active := func(c *lab.Check) { c.Active = "restarts predictor" }
		results := runAll(t, newRunner(t, labOf(plain("MR1a", active), plain("MR1b", active)), f), Request{Active: true})
		if results[0].Status != StatusError || f.calls["mr1a"] != 1 || results[1].Status != StatusPass || f.calls["mr1b"] != 4 {
			t.Errorf("%+v %v", results, f.calls)
		}
	})
}
