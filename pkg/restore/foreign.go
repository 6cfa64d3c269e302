package restore

import (
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"labctl.dev/labctl/pkg/kube"
)

// skipped are the kinds that the cluster itself makes and removes, and leases,
// which hold the grader's locks.
func skipped(k schema.GroupKind) bool {
	switch k.Kind {
	case "Event":
		return k.Group == "" || k.Group == "events.k8s.io"
	case "Endpoints":
		return k.Group == ""
	case "EndpointSlice":
		return k.Group == "discovery.k8s.io"
	case "Lease":
		return k.Group == "coordination.k8s.io"
	default:
		return false
	}
}

// KeepLabel keeps an object that the owner of a cluster has put into a lab's
// namespace after the lab, such as a RoleBinding.
const KeepLabel = "labctl.dev/keep"

// staysAlways tells whether every namespace has that object, Helm keeps its
// records in it, or somebody says that it must stay.
func staysAlways(i kube.Item) bool {
	if i.Labels[KeepLabel] == "true" {
		return true
	}
	switch k := i.GroupKind(); k {
	case kindAccount:
		return i.Name == "default"
	case kindConfigMap:
		return i.Name == "kube-root-ca.crt"
	case kindSecret:
		return helmRecord(i)
	default:
		return false
	}
}

func helmRecord(i kube.Item) bool {
	return i.GroupKind() == kindSecret && i.Labels["owner"] == "helm"
}

// census sorts the objects of a namespace: which belong to the release, by
// themselves or through their owners, and which somebody else made.
type census struct {
	byUID   map[types.UID]kube.Item
	release map[Key]bool
	// since is when the release was installed: what was there before is not the
	// learner's.
	since time.Time
}

func newCensus(items []kube.Item, release map[Key]bool) census {
	c := census{byUID: make(map[types.UID]kube.Item, len(items)), release: release}
	for _, i := range items {
		c.byUID[i.UID] = i
		// By the clock of the server, as the time of every other object.
		if (release[itemKey(i)] || helmRecord(i)) && (c.since.IsZero() || i.Created.Before(c.since)) {
			c.since = i.Created
		}
	}
	return c
}

func itemKey(i kube.Item) Key { return Key{i.GroupKind(), i.Name} }

// maxOwners ends a walk up a circle of owners.
const maxOwners = 10

// root follows the owners of an object up to the first that has none; known is
// false when one of them is not of the namespace, or not to be seen.
func (c census) root(i kube.Item) (root kube.Item, known bool) {
	for range maxOwners {
		if i.Owner == "" {
			return i, true
		}
		owner, ok := c.byUID[i.Owner]
		if !ok {
			return i, false
		}
		i = owner
	}
	return i, false
}

// madeJob gives the Job that an object is or hangs on, if that was made of a
// CronJob.
func (c census) madeJob(i kube.Item) (job kube.Item, ok bool) {
	for range maxOwners {
		owner, known := c.byUID[i.Owner]
		if i.Owner == "" || !known {
			return i, false
		}
		if i.GroupKind() == kindJob {
			return i, true
		}
		i = owner
	}
	return i, false
}

// foreign gives what somebody else made after the installation: owners and
// what hangs on them, but not the pods, which come last. A Job that was made of a
// CronJob of the release, by its clock or by hand, is such a thing too: it is
// what has happened in the lab, and its name must be free again.
func (c census) foreign() (objects, pods []kube.Item) {
	for _, i := range c.byUID {
		root, known := c.root(i)
		if !known || staysAlways(root) || skipped(root.GroupKind()) || skipped(i.GroupKind()) {
			continue
		}
		if c.release[itemKey(root)] {
			if root, known = c.madeJob(i); !known {
				continue
			}
		}
		if !root.Created.After(c.since) {
			continue
		}
		if i.GroupKind() == kindPod {
			pods = append(pods, i)
		} else {
			objects = append(objects, i)
		}
	}
	return objects, pods
}

// of gives the pods that hang on a workload of the release.
func (c census) podsOf(k Key) []kube.Item {
	var pods []kube.Item
	for _, i := range c.byUID {
		if i.GroupKind() != kindPod {
			continue
		}
		if root, known := c.root(i); known && root.UID != i.UID && itemKey(root) == k {
			pods = append(pods, i)
		}
	}
	return pods
}
