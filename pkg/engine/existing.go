package engine

import (
	"context"
	"fmt"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/kube"
)

// prepareExisting makes sure that a cluster of somebody else can take the lab:
// it answers, we may do what is needed, and its nodes can pull the images.
func (e *Engine) prepareExisting(ctx context.Context, r *runner, p *installation) (*site, error) {
	s := &site{}
	err := r.series(ctx,
		step{id: "cluster", title: "Cluster", run: func(ctx context.Context, _ reporter) (string, error) {
			client, err := e.connect(ctx, p.target)
			if err != nil {
				return "", err
			}
			s.client = client
			version, err := client.ServerVersion(ctx)
			if err != nil {
				return "", clierr.Wrap(err, "reach "+p.target.String(), "check that kubectl reaches the cluster with the same kubeconfig and context")
			}
			return "Kubernetes " + version, e.mayInstall(ctx, p, client)
		}},
		step{id: "images", title: "Images", run: func(ctx context.Context, rep reporter) (string, error) {
			if p.target.Registry == "" {
				return "", &clierr.Error{
					Op:   "find images for " + p.name,
					Err:  fmt.Errorf("the nodes of %s can't pull from this machine's cache", p.target),
					Hint: "name a registry that they can pull from and you can push to: --registry registry.example.com/labs",
					ID:   "registry-needed",
				}
			}
			refs, err := e.Images.PushTo(ctx, p.target.Registry, p.images, rep)
			s.refs = refs
			return fmt.Sprintf("%d in %s", len(refs), p.target.Registry), err
		}},
	)
	return s, err
}

// mayInstall asks the cluster whether we may do all that a lab takes.
func (e *Engine) mayInstall(ctx context.Context, p *installation, client *kube.Client) error {
	ns, err := client.Namespace(ctx, p.namespace)
	if err != nil {
		return clierr.Wrap(err, "look for namespace "+p.namespace, "ask the cluster's owner for the right to get it")
	}
	return client.Require(ctx, kube.LabRights(p.namespace, ns == nil))
}
