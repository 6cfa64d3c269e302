package doctor

import (
	"context"
	"slices"
	"strings"
	"time"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/doctor/fix"
	"labctl.dev/labctl/pkg/doctor/host"
	"labctl.dev/labctl/pkg/ui"
)

// Fixed is one thing that was repaired.
type Fixed struct {
	ID    string   `json:"id"`
	Text  string   `json:"text"`
	Files []string `json:"files,omitempty"`
}

// Fix repairs the fixable findings of a report and gives what it did; look
// again with Check afterwards. A running engine is never changed. A failure that
// can't be repaired for want of root is an error; limits that the kernel does
// not let us raise are a warning.
func (d *Doctor) Fix(ctx context.Context, r Report, emit ui.Sink) ([]Fixed, error) {
	todo := r.Fixable()
	if len(todo) == 0 {
		return nil, nil
	}
	m := d.deps.Machine
	if m.OS != "linux" || m.Euid() != 0 {
		if slices.ContainsFunc(todo, func(f Finding) bool { return f.Status == Fail }) {
			return nil, clierr.Unfit("not-root", "sudo labctl doctor --fix", "repairing %s needs root", ids(todo))
		}
		// Labs run with warnings; a user without root must not be stopped by them.
		emit.Emit(ui.Event{Kind: ui.Note, Text: "not repaired without root: " + ids(todo)})
		return nil, nil
	}
	var names []string
	for _, f := range todo {
		names = append(names, f.ID)
	}
	// What holds now counts, not what held when the report was made.
	facts := host.Gather(ctx, m, host.Ask{BuildTools: slices.Contains(names, IDBuildTools)}, d.deps.Timeouts)
	w := &work{d: d, facts: facts, ids: names, emit: emit}
	for _, step := range []func(context.Context) error{w.runtime, w.packages, w.engine, w.inotify} {
		if err := ctx.Err(); err != nil {
			return w.done, context.Cause(ctx)
		}
		if err := step(ctx); err != nil {
			return w.done, err
		}
	}
	return w.done, nil
}

// work is one run of Fix.
type work struct {
	d     *Doctor
	facts host.Facts
	ids   []string
	emit  ui.Sink
	done  []Fixed
}

func (w *work) has(id string) bool { return slices.Contains(w.ids, id) }

// step runs one repair between its events.
func (w *work) step(id, title string, run func(say fix.Progress) (text string, files []string, err error)) error {
	start := w.d.deps.Machine.Now()
	w.emit.Emit(ui.Event{Kind: ui.StepStart, Step: "fix-" + id, Title: title})
	text, files, err := run(func(t string) { w.emit.Emit(ui.Event{Kind: ui.StepUpdate, Step: "fix-" + id, Title: title, Text: t}) })
	took := w.d.deps.Machine.Now().Sub(start).Round(time.Millisecond)
	if err != nil {
		w.emit.Emit(ui.Event{Kind: ui.StepFail, Step: "fix-" + id, Title: title, Text: err.Error(), Elapsed: took})
		return err
	}
	w.emit.Emit(ui.Event{Kind: ui.StepDone, Step: "fix-" + id, Title: title, Text: text, Elapsed: took})
	w.done = append(w.done, Fixed{ID: id, Text: text, Files: files})
	return nil
}

// runtime comes before the packages: installing the engine may start it.
func (w *work) runtime(context.Context) error {
	missing := w.facts.System.Caps.Missing()
	if !w.has(IDCapabilities) || len(missing) == 0 || w.facts.Engine.State == host.Running {
		return nil
	}
	return w.step(IDCapabilities, "Runtime without the missing capabilities", func(fix.Progress) (string, []string, error) {
		files, err := w.d.deps.Fixer.Runtime(missing)
		return "containers ask for what the machine has; left out: " + strings.Join(fix.CapNames(missing), ", "), files, err
	})
}

func (w *work) packages(ctx context.Context) error {
	var list, maybe []string
	if w.has(IDEngineMissing) || w.has(IDEngineUnsupported) {
		if !w.facts.Engine.Installed {
			list = append(list, "docker.io")
		}
		// Newer releases have the command line in a package of its own, which the engine only recommends.
		if w.facts.Engine.Client == "" {
			maybe = append(maybe, "docker-cli")
		}
	}
	if w.has(IDBuildTools) {
		list = append(list, w.facts.Tools.Packages...)
	}
	if len(list)+len(maybe) == 0 {
		return nil
	}
	id := IDBuildTools
	if w.has(IDEngineMissing) || w.has(IDEngineUnsupported) {
		id = IDEngineMissing
	}
	return w.step(id, "Debian packages", func(say fix.Progress) (string, []string, error) {
		got, err := w.d.deps.Fixer.Install(ctx, list, maybe, say)
		return "installed " + strings.Join(got, ", "), nil, err
	})
}

func (w *work) engine(ctx context.Context) error {
	if !w.has(IDEngineMissing) && !w.has(IDEngineDown) && !w.has(IDEngineUnsupported) {
		return nil
	}
	return w.step(IDEngineDown, "Container engine", func(say fix.Progress) (string, []string, error) {
		how, err := w.d.deps.Fixer.Start(ctx, say)
		return how, nil, err
	})
}

// inotify only warns when it fails: a small lab runs with the old limits, and
// in a sandbox the kernel's settings may be read-only.
func (w *work) inotify(context.Context) error {
	if !w.has(IDInotifyInstances) && !w.has(IDInotifyWatches) {
		return nil
	}
	err := w.step(IDInotifyInstances, "Limits of file watching", func(fix.Progress) (string, []string, error) {
		files, err := w.d.deps.Fixer.Inotify(wantInotifyInstances, wantInotifyWatches)
		return "raised, also after a reboot", files, err
	})
	if err != nil {
		w.emit.Emit(ui.Event{Kind: ui.Warn, Text: "the limits of file watching stay as they are: " + err.Error()})
	}
	return nil
}
