package restore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/kube"
)

// pause waits for the next look.
func pause(ctx context.Context) error {
	t := time.NewTimer(poll)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

var (
	errStays  = fmt.Errorf("still there after %s", goneTime)
	errUnseen = fmt.Errorf("its controller has not seen the change after %s", observedTime)
)

// stays turns the end of a wait for objects to go into an error that names them.
func stays(ctx context.Context, err error, left []kube.Item) error {
	if !errors.Is(context.Cause(ctx), errStays) {
		return err
	}
	names := make([]string, 0, len(left))
	for _, i := range left {
		names = append(names, itemKey(i).String())
	}
	slices.Sort(names)
	return &clierr.Error{
		Err: errStays, Detail: strings.Join(names, "\n"), ID: "object-stuck",
		Hint: "A finalizer may hold them, and the controller that set it must run: kubectl get <object> -o yaml shows it. Then run the command again.",
	}
}
