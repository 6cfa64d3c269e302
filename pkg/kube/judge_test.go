package kube

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// noon is when most tests look.
var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// deployment makes a Deployment of one replica with its ReplicaSet.
func deployment(name string, ready bool) (*appsv1.Deployment, *appsv1.ReplicaSet) {
	one := int32(1)
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "ns", UID: types.UID("d-" + name), Generation: 1, Annotations: map[string]string{revisionAnnotation: "1"}},
		Spec:       appsv1.DeploymentSpec{Replicas: &one, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}},
		Status:     appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: 1, UpdatedReplicas: 1},
	}
	if ready {
		d.Status.ReadyReplicas, d.Status.AvailableReplicas = 1, 1
		d.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue}}
	}
	rs := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{
		Name: name + "-1", Namespace: "ns", UID: types.UID("rs-" + name), Annotations: map[string]string{revisionAnnotation: "1"},
		OwnerReferences: owner("Deployment", d.UID),
	}}
	return d, rs
}

func owner(kind string, uid types.UID) []metav1.OwnerReference {
	yes := true
	return []metav1.OwnerReference{{Kind: kind, UID: uid, Controller: &yes}}
}

// pod makes a pod on a node with one container in a state.
func pod(name string, ownerUID types.UID, change func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "ns", UID: types.UID("p-" + name), OwnerReferences: owner("x", ownerUID), CreationTimestamp: metav1.NewTime(noon)},
		Spec: corev1.PodSpec{NodeName: "node", RestartPolicy: corev1.RestartPolicyAlways, Containers: []corev1.Container{{
			Name: "main", Image: "registry.labctl/app:1", ReadinessProbe: &corev1.Probe{},
			Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("64Mi")}},
		}}},
		Status: corev1.PodStatus{Phase: corev1.PodPending},
	}
	if change != nil {
		change(p)
	}
	return p
}

func waiting(reason, message string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", Image: "registry.labctl/app:1", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}}
	}
}

func unscheduled(message string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.NodeName = ""
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: message}}
	}
}

func running(restarts int32) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		yes := true
		p.Status.Phase = corev1.PodRunning
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{
			Name: "main", RestartCount: restarts, Started: &yes, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(noon)}},
		}}
	}
}

func crashing(restarts int32, reason string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		waiting("CrashLoopBackOff", "back-off")(p)
		cs := &p.Status.ContainerStatuses[0]
		cs.RestartCount = restarts
		cs.LastTerminationState = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 3, Reason: reason}}
	}
}

// unstarted is a container that the runtime could not start.
func unstarted(restarts int32, message string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		crashing(restarts, "StartError")(p)
		p.Status.ContainerStatuses[0].LastTerminationState.Terminated.Message = message
	}
}

func event(p *corev1.Pod, at int, reason, message string) *corev1.Event {
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Name: reason + message, Namespace: "ns"},
		InvolvedObject: corev1.ObjectReference{UID: p.UID, FieldPath: "spec.containers{main}"},
		Reason:         reason, Message: message, LastTimestamp: metav1.NewTime(noon.Add(time.Duration(at) * time.Second)),
	}
}

// TestPodTrouble runs each trouble through two looks, one at once and one after
// its grace.
func TestPodTrouble(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		pod         func(*corev1.Pod)
		events      [][2]string
		now         bool // hopeless at once
		later       bool // hopeless after a minute
		id, message string
	}{
		"invalid image":      {pod: waiting("InvalidImageName", "bad"), now: true, later: true, id: idImage, message: "registry.labctl/app:1: bad"},
		"never pulled":       {pod: waiting("ErrImageNeverPull", "absent"), now: true, later: true, id: idImage, message: "absent"},
		"image not there":    {pod: waiting("ImagePullBackOff", `Back-off pulling image "x": ErrImagePull: failed to pull: manifest: not found`), later: true, id: idImage, message: "manifest: not found"},
		"registry down":      {pod: waiting("ErrImagePull", "dial tcp: connect: connection refused"), later: true, id: idImage, message: "connection refused"},
		"missing secret":     {pod: waiting("CreateContainerConfigError", `secret "x" not found`), later: true, id: idConfig, message: `secret "x" not found`},
		"no memory":          {pod: unscheduled("0/1 nodes are available: 1 Insufficient memory. preemption: not helpful."), later: true, id: idUnschedulable, message: "0/1 nodes are available: 1 Insufficient memory"},
		"no such node":       {pod: unscheduled("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."), later: true, id: idUnschedulable, message: "affinity"},
		"node not ready":     {pod: unscheduled("0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }."), message: "waiting for a node"},
		"volume to come":     {pod: unscheduled("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."), message: "waiting for a node or volume"},
		"node to come":       {pod: unscheduled("0/1 nodes are available: 1 Insufficient cpu."), events: [][2]string{{"TriggeredScaleUp", "x"}}, message: "waiting for a new node"},
		"not scheduled yet":  {pod: func(p *corev1.Pod) { p.Spec.NodeName = "" }, message: "waiting to be scheduled"},
		"just made":          {pod: waiting("ContainerCreating", ""), message: "creating containers"},
		"pulling":            {pod: waiting("ContainerCreating", ""), events: [][2]string{{"Pulling", `Pulling image "registry.labctl/app:1"`}}, message: "pulling registry.labctl/app"},
		"pulled":             {pod: waiting("ContainerCreating", ""), events: [][2]string{{"Pulling", `Pulling image "registry.labctl/app:1"`}, {"Pulled", `Successfully pulled image "registry.labctl/app:1" in 1s`}}, message: "creating containers"},
		"no volume":          {pod: waiting("ContainerCreating", ""), events: [][2]string{{"FailedMount", `MountVolume.SetUp failed for volume "v" : secret "x" not found`}}, later: true, id: idConfig, message: `waiting for a volume: MountVolume.SetUp failed for volume "v" : secret "x" not found`},
		"not ready":          {pod: running(0), message: "runs, not ready"},
		"probe":              {pod: running(0), events: [][2]string{{"Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503"}}, message: "runs, not ready, readiness probe: 503"},
		"first memory death": {pod: crashing(1, "OOMKilled"), now: true, later: true, id: idMemory, message: "memory limit of 64Mi"},
		"machine too busy":   {pod: unstarted(2, "runc create failed: unable to freeze"), later: true, id: idCrash, message: "exit code 3: runc create failed: unable to freeze, restarted 2 times"},
		"evicted":            {pod: func(p *corev1.Pod) { p.Status.Phase, p.Status.Reason = corev1.PodFailed, "Evicted" }, message: "waiting for pods"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, rs := deployment("app", false)
			p := pod("app-1", rs.UID, tt.pod)
			v := view{deployments: []*appsv1.Deployment{d}, replicaSets: []*appsv1.ReplicaSet{rs}, pods: []*corev1.Pod{p}}
			for i, e := range tt.events {
				v.events = append(v.events, event(p, i+1, e[0], e[1]))
			}
			j := newJudge()
			look := func(at time.Time) WorkloadStatus {
				j.begin(at)
				defer j.end()
				return j.assess(v, []ref{{"Deployment", "app"}})[0]
			}
			first := look(noon)
			if first.Failed != tt.now || first.Ready || !strings.Contains(first.Message, tt.message) {
				t.Errorf("at once: failed %v, ready %v: %q; want %v with %q", first.Failed, first.Ready, first.Message, tt.now, tt.message)
			}
			if tt.later && !tt.now && j.next == 0 {
				t.Error("nobody will look again")
			}
			if got := look(noon.Add(time.Minute)); got.Failed != tt.later || got.Failed && got.id != tt.id {
				t.Errorf("later: failed %v with id %q; want %v with %q", got.Failed, got.id, tt.later, tt.id)
			}
		})
	}
}

func TestGraceStartsAnew(t *testing.T) {
	t.Parallel()
	j := newJudge()
	for i, step := range []struct {
		after time.Duration
		bad   bool
		want  bool
	}{{0, true, false}, {9 * time.Second, false, false}, {9 * time.Second, true, false}, {9 * time.Second, true, false}, {time.Second, true, true}} {
		j.begin(j.now.Add(step.after))
		if got := step.bad && j.lasts("x", 10*time.Second); got != step.want {
			t.Errorf("step %d: %v", i, got)
		}
		j.end()
	}
}

// TestCrashes plays rounds of two Deployments: one that crashes and another on
// its way.
func TestCrashes(t *testing.T) {
	t.Parallel()
	type round struct {
		pod   func(*corev1.Pod)
		other bool // the other one is ready
		want  bool // hopeless
	}
	for name, rounds := range map[string][]round{
		"alone":           {{running(0), true, false}, {crashing(1, "Error"), true, false}, {running(1), true, false}, {crashing(2, "Error"), true, true}},
		"amidst":          {{crashing(2, "Error"), false, false}, {crashing(3, "Error"), false, false}, {crashing(4, "Error"), false, false}, {crashing(5, "Error"), false, true}},
		"no such command": {{unstarted(1, "exec: x: executable file not found in $PATH"), true, false}, {unstarted(2, "exec: x: executable file not found in $PATH"), true, true}},
		"did not start":   {{unstarted(1, "unable to freeze"), true, false}, {unstarted(2, "unable to freeze"), true, false}, {running(2), true, false}},
		"died with node":  {{crashing(1, "Unknown"), true, false}, {crashing(2, "Unknown"), true, false}, {running(2), true, false}},
		"heals":           {{crashing(2, "Error"), false, false}, {crashing(2, "Error"), true, false}, {running(2), true, false}},
		"does not heal": {
			{crashing(2, "Error"), false, false},
			{crashing(2, "Error"), true, false},
			{running(3), true, false},
			{crashing(3, "Error"), true, true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newJudge()
			for i, r := range rounds {
				d, rs := deployment("app", false)
				other, otherRS := deployment("other", r.other)
				v := view{
					deployments: []*appsv1.Deployment{d, other}, replicaSets: []*appsv1.ReplicaSet{rs, otherRS},
					pods: []*corev1.Pod{pod("app-1", rs.UID, r.pod), pod("other-1", otherRS.UID, func(p *corev1.Pod) {
						if r.other {
							running(0)(p)
							p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
						}
					})},
				}
				j.begin(noon.Add(time.Duration(i) * time.Second))
				rows := j.assess(v, []ref{{"Deployment", "app"}, {"Deployment", "other"}})
				j.end()
				if rows[0].Failed != r.want || rows[1].Ready != r.other {
					t.Errorf("round %d: %+v", i, rows)
				}
			}
		})
	}
}

func TestOldRolloutDoesNotCount(t *testing.T) {
	t.Parallel()
	d, rs := deployment("app", false)
	d.Annotations[revisionAnnotation] = "2"
	now := rs.DeepCopy()
	now.UID, now.Annotations[revisionAnnotation] = "rs-2", "2"
	v := view{
		deployments: []*appsv1.Deployment{d}, replicaSets: []*appsv1.ReplicaSet{rs, now},
		pods: []*corev1.Pod{pod("old", rs.UID, waiting("InvalidImageName", "x")), pod("new", now.UID, running(0))},
	}
	j := newJudge()
	j.begin(noon)
	if row := j.assess(v, []ref{{"Deployment", "app"}})[0]; row.Failed || row.Pod != "new" {
		t.Errorf("%+v", row)
	}
}

func TestSteady(t *testing.T) {
	t.Parallel()
	d, rs := deployment("app", true)
	p := pod("app-1", rs.UID, func(p *corev1.Pod) {
		running(0)(p)
		p.Spec.Containers[0].ReadinessProbe = nil
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(noon)}}
	})
	v := view{deployments: []*appsv1.Deployment{d}, replicaSets: []*appsv1.ReplicaSet{rs}, pods: []*corev1.Pod{p}}
	j := newJudge()
	for i, want := range []bool{false, false, true} {
		j.begin(noon.Add(time.Duration(i) * time.Second))
		if row := j.assess(v, []ref{{"Deployment", "app"}})[0]; row.Ready != want {
			t.Errorf("after %d s: %+v", i, row)
		}
		j.end()
	}
	j = newJudge()
	j.begin(noon.Add(time.Hour))
	if row := j.assess(v, []ref{{"Deployment", "app"}})[0]; !row.Ready {
		t.Errorf("an old pod has to prove itself: %+v", row)
	}
}

func TestJobs(t *testing.T) {
	t.Parallel()
	job := func(change func(*batchv1.JobStatus)) *batchv1.Job {
		limit := int32(2)
		o := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "seed", UID: "job"}, Spec: batchv1.JobSpec{BackoffLimit: &limit}}
		change(&o.Status)
		return o
	}
	failed := func(reason string) *corev1.Pod {
		return pod("seed-1", "job", func(p *corev1.Pod) {
			p.Spec.RestartPolicy = corev1.RestartPolicyNever
			p.Status.Phase = corev1.PodFailed
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Reason: reason}}}}
		})
	}
	// The kubelet has told of the container, the Job controller not of the Job.
	ended := func(code int32) *corev1.Pod {
		return pod("seed-1", "job", func(p *corev1.Pod) {
			running(0)(p)
			p.Spec.RestartPolicy = corev1.RestartPolicyNever
			p.Status.ContainerStatuses[0].State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code}}
		})
	}
	for name, tt := range map[string]struct {
		job           *batchv1.Job
		pods          []*corev1.Pod
		ready, failed bool
		message       string
	}{
		"complete": {job(func(s *batchv1.JobStatus) {
			s.Conditions = []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: corev1.ConditionTrue}}
		}), nil, true, false, "completed"},
		"failed": {job(func(s *batchv1.JobStatus) {
			s.Conditions = []batchv1.JobCondition{{Type: batchv1.JobFailed, Status: corev1.ConditionTrue, Reason: "BackoffLimitExceeded"}}
		}), []*corev1.Pod{failed("Error")}, false, true, "container main ended with exit code 1"},
		"second try": {job(func(s *batchv1.JobStatus) { s.Failed = 1 }), []*corev1.Pod{pod("seed-2", "job", waiting("ContainerCreating", ""))}, false, false, "attempt 2 of 3, creating"},
		"crashing":   {job(func(*batchv1.JobStatus) {}), []*corev1.Pod{pod("seed-1", "job", crashing(4, "Error"))}, false, false, "restarted 4 times"},
		"no memory":  {job(func(s *batchv1.JobStatus) { s.Failed = 1 }), []*corev1.Pod{failed("OOMKilled")}, false, true, "memory limit"},
		"ended":      {job(func(*batchv1.JobStatus) {}), []*corev1.Pod{ended(0)}, true, false, "completed"},
		"not well":   {job(func(*batchv1.JobStatus) {}), []*corev1.Pod{ended(1)}, false, false, "exit code 1"},
		"no pod yet": {job(func(*batchv1.JobStatus) {}), nil, false, false, "waiting for pods"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newJudge()
			j.begin(noon)
			row := j.assess(view{jobs: []*batchv1.Job{tt.job}, pods: tt.pods}, []ref{{"Job", "seed"}})[0]
			if row.Ready != tt.ready || row.Failed != tt.failed || !strings.Contains(row.Message, tt.message) {
				t.Errorf("%+v", row)
			}
		})
	}
}

func TestForbiddenPods(t *testing.T) {
	t.Parallel()
	d, rs := deployment("app", false)
	refusal := &corev1.Event{InvolvedObject: corev1.ObjectReference{UID: rs.UID}, Reason: "FailedCreate", Message: `pods "app" is forbidden: violates PodSecurity "restricted:latest"`}
	v := view{deployments: []*appsv1.Deployment{d}, replicaSets: []*appsv1.ReplicaSet{rs}, events: []*corev1.Event{refusal}}
	j := newJudge()
	j.begin(noon)
	j.assess(v, []ref{{"Deployment", "app"}})
	j.end()
	j.begin(noon.Add(4 * time.Second))
	if row := j.assess(v, []ref{{"Deployment", "app"}})[0]; !row.Failed || row.id != idForbidden || !strings.Contains(row.Message, "PodSecurity") {
		t.Errorf("%+v", row)
	}
}

func TestClaims(t *testing.T) {
	t.Parallel()
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "data", UID: "pvc"}, Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimPending}}
	first := &corev1.Event{InvolvedObject: corev1.ObjectReference{UID: "pvc"}, Reason: "WaitForFirstConsumer"}
	user := pod("user", "x", func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}}}
	})
	bound := claim.DeepCopy()
	bound.Status.Phase = corev1.ClaimBound
	for name, tt := range map[string]struct {
		v    view
		want bool
	}{
		"bound":            {view{claims: []*corev1.PersistentVolumeClaim{bound}}, true},
		"nobody uses it":   {view{claims: []*corev1.PersistentVolumeClaim{claim}, events: []*corev1.Event{first}}, true},
		"somebody uses it": {view{claims: []*corev1.PersistentVolumeClaim{claim}, events: []*corev1.Event{first}, pods: []*corev1.Pod{user}}, false},
		"pending":          {view{claims: []*corev1.PersistentVolumeClaim{claim}}, false},
		"not made yet":     {view{}, false},
	} {
		j := newJudge()
		j.begin(noon)
		if row := j.assess(tt.v, []ref{{"PersistentVolumeClaim", "data"}})[0]; row.Ready != tt.want {
			t.Errorf("%s: %+v", name, row)
		}
	}
}

// TestNoVolume has a StatefulSet's pod wait for a claim that is not among the
// objects.
func TestNoVolume(t *testing.T) {
	t.Parallel()
	for reason, after := range map[string]time.Duration{"FailedBinding": gracePlacement, "ProvisioningFailed": graceVolume} {
		claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "data", UID: "pvc"}, Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimPending}}
		user := pod("user", "x", func(p *corev1.Pod) {
			unscheduled("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.")(p)
			p.Spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}}}
		})
		v := view{claims: []*corev1.PersistentVolumeClaim{claim}, pods: []*corev1.Pod{user}, events: []*corev1.Event{{
			InvolvedObject: corev1.ObjectReference{UID: "pvc"}, Reason: reason, Message: "no storage class is set",
		}}}
		j := newJudge()
		for _, at := range []time.Duration{0, after} {
			j.begin(noon.Add(at))
			for _, row := range j.assess(v, []ref{{"Pod", "user"}, {"PersistentVolumeClaim", "data"}}) {
				if row.Failed != (at > 0) || row.id != idVolume || row.Reason != reason || !strings.Contains(row.Message, "claim data: no storage class is set") {
					t.Errorf("%s after %s: %+v", reason, at, row)
				}
			}
			j.end()
		}
		if hints[idVolume] == "" {
			t.Error("no hint")
		}
		claim.Status.Phase = corev1.ClaimBound
		j.begin(noon.Add(2 * time.Minute))
		if row := j.assess(v, []ref{{"Pod", "user"}})[0]; row.Failed {
			t.Errorf("%s, then bound: %+v", reason, row)
		}
	}
}
