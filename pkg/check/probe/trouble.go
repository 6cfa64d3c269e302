package probe

import (
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/kube"
)

// TroubleError is trouble on the way to the lab: the grader's, not the
// learner's.
type TroubleError struct {
	Err error
	// Passing tells that another try may soon do better.
	Passing bool
	// Moving says what the way itself waits for, such as a workbench that
	// starts; then waiting is all there is to do.
	Moving string
}

func (e *TroubleError) Error() string { return e.Err.Error() }

// Unwrap gives the cause, which may carry a hint (*clierr.Error).
func (e *TroubleError) Unwrap() error { return e.Err }

// trouble sorts what the cluster answered.
func trouble(err error) error {
	var already *TroubleError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &already):
		return err
	case apierrors.IsUnauthorized(err):
		return lasting(err, "The cluster does not accept the credentials. labctl up renews those of its own cluster; for another one, get a new kubeconfig.")
	case apierrors.IsForbidden(err) && !kube.StartingUp(err):
		return lasting(err, "Ask the cluster's administrator for the right to do this in the lab's namespace.")
	case meta.IsNoMatchError(err):
		return lasting(err, "The cluster does not know this kind of object; the lab's page lists what it requires.")
	case errors.Is(err, kube.ErrClusterScoped):
		return lasting(err, "Checks look at the lab's namespace only. This is a mistake in the lab: labctl lint.")
	case apierrors.IsBadRequest(err), apierrors.IsInvalid(err):
		return lasting(err, "This is a mistake in the lab: labctl lint.")
	default:
		return &TroubleError{Err: clierr.Wrap(err, "", "Run the command again. labctl status shows whether the cluster answers."), Passing: true}
	}
}

func lasting(err error, hint string) error {
	return &TroubleError{Err: clierr.Wrap(err, "", hint)}
}
