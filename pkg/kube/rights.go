package kube

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"
	authv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"labctl.dev/labctl/pkg/clierr"
)

// Right is something that a user may be allowed to do. An empty Namespace means
// the whole cluster.
type Right struct {
	Verb      string
	Group     string
	Resource  string // "pods" or "pods/exec"
	Namespace string
}

func (r Right) String() string {
	s := r.Verb + " " + r.Resource
	if r.Group != "" {
		s += "." + r.Group
	}
	if r.Namespace == "" {
		return s + " in the whole cluster"
	}
	return s + " in namespace " + r.Namespace
}

// maxReviews bounds how many questions are asked at once.
const maxReviews = 8

// Require asks the API server whether the user has all rights, and lists those
// that are missing in its error.
func (c *Client) Require(ctx context.Context, rights []Right) error {
	missing, err := c.missing(ctx, rights)
	if err != nil || len(missing) == 0 {
		return err
	}
	return &clierr.Error{
		Err: fmt.Errorf("you lack %d of %d rights that are needed on this cluster", len(missing), len(rights)), ID: "rights",
		Detail: strings.Join(missing, "\n"), Hint: "Ask the cluster's administrator for them, or use another context.",
		Code: clierr.CodeUnfit,
	}
}

// May says whether the user has all rights.
func (c *Client) May(ctx context.Context, rights ...Right) (bool, error) {
	missing, err := c.missing(ctx, rights)
	return len(missing) == 0, err
}

// missing lists the rights that the user does not have.
func (c *Client) missing(ctx context.Context, rights []Right) ([]string, error) {
	ctx, cancel := request(ctx)
	defer cancel()
	denied := make([]bool, len(rights))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(maxReviews)
	for i, r := range rights {
		g.Go(func() error {
			resource, sub, _ := strings.Cut(r.Resource, "/")
			review, err := c.Clientset.AuthorizationV1().SelfSubjectAccessReviews().Create(gctx, &authv1.SelfSubjectAccessReview{
				Spec: authv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authv1.ResourceAttributes{
					Namespace: r.Namespace, Verb: r.Verb, Group: r.Group, Resource: resource, Subresource: sub,
				}},
			}, metav1.CreateOptions{})
			if err != nil {
				return fmt.Errorf("ask for the right to %s: %w", r, err)
			}
			denied[i] = !review.Status.Allowed
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var missing []string
	for i, r := range rights {
		if denied[i] {
			missing = append(missing, r.String())
		}
	}
	return missing, nil
}

// LabRights are what it takes to install and use a lab in a namespace, to reset
// it and to practise in it. makes says that the namespace has to be made first.
func LabRights(namespace string, makes bool) []Right {
	var rights []Right
	if makes {
		rights = append(rights, Right{Verb: "create", Resource: "namespaces"}, Right{Verb: "delete", Resource: "namespaces"})
	}
	add := func(group, verbs string, resources ...string) {
		for _, res := range resources {
			for v := range strings.FieldsSeq(verbs) {
				rights = append(rights, Right{Verb: v, Group: group, Resource: res, Namespace: namespace})
			}
		}
	}
	// Its annotations say how far up and reset are.
	add("", "get patch", "namespaces")
	// What labs are made of, and what solutions and faults make and change.
	const manage = "get list watch create update patch delete"
	add("", manage, "secrets", "services", "configmaps", "persistentvolumeclaims", "serviceaccounts")
	add("apps", manage, "deployments", "statefulsets")
	add("batch", manage, "jobs", "cronjobs")
	add("rbac.authorization.k8s.io", manage, "roles", "rolebindings")
	add("networking.k8s.io", manage, "networkpolicies")
	add("policy", manage, "poddisruptionbudgets")
	add("autoscaling", manage, "horizontalpodautoscalers")
	// Restarts, and pods that a learner or a check makes or annotates by hand.
	add("", "get list watch create patch delete", "pods")
	add("apps", "get list watch", "replicasets")
	add("apps", "list watch", "daemonsets")
	add("", "get list watch", "pods/log", "events", "endpoints")
	// Web sockets are opened with GET, and RBAC names the verb after that.
	add("", "get create", "pods/exec", "pods/portforward")
	// The rest of what the Role of a lab's tools grants: nobody may grant what he
	// has not himself.
	add("apps", "get list watch update patch", "deployments/scale", "statefulsets/scale")
	add("events.k8s.io", "get list watch", "events")
	add("discovery.k8s.io", "get list watch", "endpointslices")
	add("authorization.k8s.io", "create", "localsubjectaccessreviews")
	// Checks ask the lab's services through the API server, one active at a time.
	add("", "get create", "services/proxy")
	add("coordination.k8s.io", "get create update delete", "leases")
	return rights
}
