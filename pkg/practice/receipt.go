package practice

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"labctl.dev/labctl/pkg/check"
	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/engine"
	"labctl.dev/labctl/pkg/progress"
	"labctl.dev/labctl/pkg/receipt"
	"labctl.dev/labctl/pkg/ui"
	"labctl.dev/labctl/pkg/version"
)

// ReceiptOptions say whose receipt to issue.
type ReceiptOptions struct {
	Lab    string // empty: the one lab that is up
	Target engine.Target
	// Name is put into the receipt; without it the receipt names nobody.
	Name string
}

// Receipt looks at the lab once more and issues a signed record of what the
// learner did in it.
func (p *Practice) Receipt(ctx context.Context, o ReceiptOptions, sink ui.Sink) (*receipt.Issued, error) {
	s, err := p.join(ctx, o.Lab, o.Target, sink)
	if err != nil {
		return nil, err
	}
	// Active checks count as they were last seen.
	if _, err := p.check(ctx, s, CheckOptions{}, true, sink); err != nil {
		return nil, err
	}
	r := s.store.Record()
	if len(r.Checks) == 0 {
		return nil, clierr.New("labctl check "+s.Name, "no check of %s has said anything yet", s.Name)
	}
	doc := document(s, r)
	doc.Name = o.Name
	doc.Lab.Digest, err = digest(s.Files)
	if err != nil {
		return nil, err
	}
	secrets := p.surroundings(ctx, s, &doc)
	doc.Redact(secrets)
	return receipt.NewBook(p.deps.State, p.deps.Now).Issue(ctx, doc)
}

// VerifyReceipt checks a receipt's file.
func (p *Practice) VerifyReceipt(content []byte) (*receipt.Verdict, error) {
	return receipt.NewBook(p.deps.State, p.deps.Now).Verify(content)
}

// document puts the history into a receipt.
func document(s *session, r progress.Record) receipt.Document {
	sum := progress.Score(s.Lab, r, nil)
	v := version.Get()
	d := receipt.Document{
		Profile: "laptop",
		Labctl:  receipt.Program{Version: v.Version, Commit: v.Commit, Platform: v.Platform},
		Lab:     receipt.Lab{Name: s.Name, Title: s.Lab.Metadata.Title, Installation: s.Installation},
		Started: r.Started, Ended: r.Updated, ActiveSeconds: r.ActiveSeconds,
		Score: receipt.Score(scoreOf(sum)),
	}
	if s.Lab.Seed != nil {
		d.Lab.Seed = s.Lab.Seed.Value
	}
	for i, t := range s.Lab.Tasks {
		score := sum.Tasks[i]
		task := receipt.Task{
			ID: t.ID, Title: t.Title, State: string(score.State), Earned: score.Earned, Now: score.Now, Max: score.Max,
			Passed: r.Tasks[t.ID].Passed, Solved: r.Solved[t.ID], Regressed: score.Regressed,
			Hints: hintsOf(opened(r, ladder{task: t.ID})), Checks: make([]receipt.Check, 0, len(t.Checks)),
		}
		for _, c := range t.Checks {
			task.Checks = append(task.Checks, checkOf(c.ID, c.Kind(), c.Points, c.IsActive(), r.Checks[c.ID]))
		}
		d.Tasks = append(d.Tasks, task)
	}
	for _, f := range r.Faults {
		d.Faults = append(d.Faults, receipt.Drill{
			ID: f.ID, Injected: f.Injected, Detected: f.Detected, Fixed: f.Fixed, Undone: f.Undone, Note: f.Note, Hints: hintsOf(f.Hints),
		})
	}
	return d
}

func checkOf(id, kind string, points int, active bool, c progress.CheckRecord) receipt.Check {
	out := receipt.Check{ID: id, Kind: kind, Status: "open", Max: points, Active: active, FirstPassed: c.FirstPassed}
	if l := c.Last; l != nil {
		out.Status, out.Latched, out.Message, out.Found, out.Expected = string(l.Status), l.Latched, l.Message, l.Found, l.Expected
		out.Attempts, out.Seconds, out.ObservedAt = l.Attempts, l.Seconds, l.ObservedAt
		if l.Status == check.StatusPass {
			out.Points = points
		}
	}
	return out
}

func hintsOf(list []progress.HintOpened) []receipt.Hint {
	out := make([]receipt.Hint, 0, len(list))
	for _, h := range list {
		out = append(out, receipt.Hint{Level: h.Level, At: h.At, Price: h.Price})
	}
	return out
}

// digest is a hash over all files of a lab.
func digest(files fs.FS) (string, error) {
	sum := sha256.New()
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%d:%s%d:", len(path), path, len(content))
		sum.Write(content)
		return nil
	})
	return "sha256:" + hex.EncodeToString(sum.Sum(nil)), clierr.Wrap(err, "read the files of the lab", "")
}

// surroundings adds what the lab runs on, as far as it may be read, and gives
// the secrets that must not get into a receipt.
func (p *Practice) surroundings(ctx context.Context, s *session, d *receipt.Document) (secrets []string) {
	d.Cluster.Kind = "local"
	if s.Target.Existing() {
		d.Cluster.Kind = "existing"
	}
	if s.Client == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	skip := func(what string, err error) { p.deps.Log.Debug("not in the receipt", "what", what, "error", err) }
	if v, err := s.Client.ServerVersion(ctx); err != nil {
		skip("version", err)
	} else {
		d.Cluster.Kubernetes = v
	}
	core := s.Client.Clientset.CoreV1()
	if nodes, err := core.Nodes().List(ctx, metav1.ListOptions{}); err != nil {
		skip("nodes", err) // a learner's rights may end at the namespace
	} else if len(nodes.Items) > 0 {
		n := nodes.Items[0].Status
		d.Cluster.Nodes, d.Cluster.NodeImage = len(nodes.Items), n.NodeInfo.OSImage
		d.Cluster.CPU, d.Cluster.Memory = n.Capacity.Cpu().String(), n.Capacity.Memory().String()
	}
	if pods, err := core.Pods(s.Namespace).List(ctx, metav1.ListOptions{}); err != nil {
		skip("images", err)
	} else {
		d.Lab.Images = images(pods.Items)
	}
	if maps, err := core.ConfigMaps(s.Namespace).List(ctx, metav1.ListOptions{}); err != nil {
		skip("artefacts", err)
	} else {
		d.Artefacts = artefacts(maps.Items)
	}
	if list, err := core.Secrets(s.Namespace).List(ctx, metav1.ListOptions{}); err != nil {
		skip("secrets", err) // what looks like one is taken out all the same
	} else {
		for _, secret := range list.Items {
			if secret.Type == "helm.sh/release.v1" {
				continue
			}
			for _, value := range secret.Data {
				secrets = append(secrets, string(value))
			}
		}
	}
	return secrets
}

// images gives what runs, without the registry: where a learner's cluster pulls
// from is nobody's business.
func images(pods []corev1.Pod) []receipt.Image {
	var list []receipt.Image
	for _, pod := range pods {
		for _, c := range pod.Status.ContainerStatuses {
			name := c.Image[strings.LastIndex(c.Image, "/")+1:]
			_, hash, _ := strings.Cut(c.ImageID, "@")
			if i := (receipt.Image{Name: name, Digest: hash}); !slices.Contains(list, i) {
				list = append(list, i)
			}
		}
	}
	slices.SortFunc(list, func(a, b receipt.Image) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// artefacts gives the ConfigMaps that somebody other than labctl, Helm and
// Kubernetes wrote to.
func artefacts(maps []corev1.ConfigMap) []receipt.Artefact {
	var list []receipt.Artefact
	for _, m := range maps {
		if !slices.ContainsFunc(m.ManagedFields, func(f metav1.ManagedFieldsEntry) bool { return byLearner(f.Manager) }) {
			continue
		}
		content, err := json.Marshal([]any{m.Data, m.BinaryData}) // keys are sorted
		if err != nil {
			continue
		}
		sum := sha256.Sum256(content)
		list = append(list, receipt.Artefact{Object: "ConfigMap/" + m.Name, SHA256: hex.EncodeToString(sum[:])})
	}
	return list
}

// byLearner tells a field manager that is none of labctl's and the cluster's.
func byLearner(manager string) bool {
	switch {
	case manager == "labctl", manager == "solution", strings.EqualFold(manager, "helm"):
		return false
	default:
		return !strings.HasPrefix(manager, "kube-")
	}
}
