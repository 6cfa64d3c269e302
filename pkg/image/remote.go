package image

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/image/archive"
	"labctl.dev/labctl/pkg/image/cache"
	"labctl.dev/labctl/pkg/ui"
)

// cacheEncoding is how layers lie in the cache. See docs/performance.md.
const cacheEncoding = archive.Zstd

// probeTime bounds the question whether public images can be pulled.
const probeTime = 3 * time.Second

// reachable asks the registry of a public image whether it is there. Any answer
// of a registry will do; the usual one is that it wants a token.
func reachable(ctx context.Context, image string) bool {
	ref, err := name.ParseReference(image)
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+ref.Context().RegistryStr()+"/v2/", http.NoBody)
	if err != nil {
		return false
	}
	resp, err := (&http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment}}).Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.Header.Get("Docker-Distribution-Api-Version") != "" &&
		(resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusUnauthorized)
}

// copyFromRegistry copies the first of refs that the configured registry has
// straight into the cache. A registry that can't be used is worth a warning,
// not an error: the image can still be built.
func (r *run) copyFromRegistry(ctx context.Context, refs []Ref) (Ref, bool) {
	if r.s.registry == "" {
		return Ref{}, false
	}
	for _, ref := range refs {
		err := r.copyOne(ctx, ref)
		if err == nil {
			return ref, true
		}
		if ctx.Err() != nil {
			return Ref{}, false
		}
		if !notThere(err) {
			r.sink.Emit(ui.Event{Kind: ui.Warn, Step: StepID, Item: ref.Name, Text: fmt.Sprintf("%s can't be pulled from %s: %s", ref.Name, r.s.registry, firstLine(err))})
			return Ref{}, false
		}
	}
	return Ref{}, false
}

func (r *run) copyOne(ctx context.Context, ref Ref) error {
	from, opts, err := r.s.outside(r.s.registry, ref)
	if err != nil {
		return err
	}
	img, err := remote.Image(from, append(opts, remote.WithContext(ctx))...)
	if err != nil {
		return err
	}
	return r.reg.Push(ctx, img, ref.Name, ref.Tag, r.bytesRow(ref.Name, "pull"))
}

// pullIntoEngine lets the engine pull the first of refs that the configured
// registry has.
func (r *run) pullIntoEngine(ctx context.Context, refs []Ref) (Ref, bool) {
	if r.s.registry == "" {
		return Ref{}, false
	}
	for _, ref := range refs {
		from, opts, err := r.s.outside(r.s.registry, ref)
		if err != nil {
			return Ref{}, false
		}
		if _, err := remote.Head(from, append(opts, remote.WithContext(ctx))...); err != nil {
			continue
		}
		r.row(ref.Name, ui.Working, "pull from "+r.s.registry)
		src := ref.In(r.s.registry)
		if _, err = r.s.docker.Run(ctx, "pull", "--quiet", src); err == nil {
			if _, err = r.s.docker.Run(ctx, "tag", src, ref.Engine()); err == nil {
				_, err = r.s.docker.Run(ctx, "rmi", "--no-prune", src)
			}
		}
		if err != nil {
			r.sink.Emit(ui.Event{Kind: ui.Warn, Step: StepID, Item: ref.Name, Text: fmt.Sprintf("%s can't be pulled from %s: %s", ref.Name, r.s.registry, firstLine(err))})
			return Ref{}, false
		}
		return ref, true
	}
	return Ref{}, false
}

// outside gives the reference in a registry that is not ours, and how to talk
// to it: with the passwords of `docker login`, and with TLS unless plain HTTP
// was asked for.
func (s *Store) outside(registry string, ref Ref) (name.Reference, []remote.Option, error) {
	registry, insecure := splitRegistry(registry)
	if registry == s.registry {
		insecure = s.insecure
	}
	var opts []name.Option
	rt := http.RoundTripper(onlyTLS{remote.DefaultTransport})
	if insecure {
		opts, rt = append(opts, name.Insecure), remote.DefaultTransport
	}
	out, err := name.ParseReference(ref.In(registry), append(opts, name.StrictValidation)...)
	if err != nil {
		return nil, nil, clierr.Usage("it looks like host[:port][/path]; http:// before it allows plain HTTP", "--registry %q: %w", registry, err)
	}
	return out, []remote.Option{remote.WithAuthFromKeychain(s.keychain), remote.WithTransport(rt), remote.WithJobs(2)}, nil
}

// onlyTLS refuses plain HTTP, which the library falls back to by itself for
// private networks: passwords must not go there unless the user said so.
type onlyTLS struct{ http.RoundTripper }

func (t onlyTLS) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" {
		return nil, errors.New("the registry does not speak TLS; write http:// before its name to allow plain HTTP")
	}
	return t.RoundTripper.RoundTrip(req)
}

// PushTo copies images from the cache to a registry from which other clusters
// pull, and gives each image's reference there. What is there already is left.
func (s *Store) PushTo(ctx context.Context, registry string, names []string, sink ui.Sink) (map[string]string, error) {
	// Held to the end: nobody may collect in the cache or remove spooled layers
	// while they are read.
	r := s.newRun(sink)
	defer r.release()
	if err := r.acquire(ctx); err != nil {
		return nil, err
	}
	refs, err := s.fill(ctx, r, names)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, n := range names {
		if err := r.pushOne(ctx, registry, refs[n]); err != nil {
			r.row(n, ui.Failed, firstLine(err))
			return nil, pushError(registry, n, err)
		}
		host, _ := splitRegistry(registry)
		out[n] = refs[n].In(host)
	}
	return out, nil
}

func (r *run) pushOne(ctx context.Context, registry string, ref Ref) error {
	to, opts, err := r.s.outside(registry, ref)
	if err != nil {
		return err
	}
	opts = append(opts, remote.WithContext(ctx))
	if _, err := remote.Head(to, opts...); err == nil {
		// Tags are made of content, so the same tag is the same image.
		r.row(ref.Name, ui.Ready, "is in "+registry)
		return nil
	} else if !notThere(err) {
		return err
	}
	report := r.bytesRow(ref.Name, "push to "+registry)
	if r.s.inEngine(ref.Name) {
		// Engines pull it, and older ones know only gzip.
		img, err := r.s.spool(ctx, ref.Engine(), archive.Gzip, r.bytesRow(ref.Name, "pack"))
		if err != nil {
			return err
		}
		defer img.Close()
		err = cache.Write(ctx, to, img, report, opts...)
		if err == nil {
			r.row(ref.Name, ui.Ready, "pushed")
		}
		return err
	}
	img, err := r.reg.Image(ctx, ref.Name, ref.Tag)
	if err != nil {
		return err
	}
	if err := cache.Write(ctx, to, img, report, opts...); err != nil {
		return err
	}
	r.row(ref.Name, ui.Ready, "pushed")
	return nil
}

func pushError(registry, image string, err error) error {
	hint := "is the registry running, and does this machine reach it?"
	var te *transport.Error
	if errors.As(err, &te) && (te.StatusCode == http.StatusUnauthorized || te.StatusCode == http.StatusForbidden) {
		hint = "log in first: docker login " + registry
	}
	return clierr.Wrap(err, fmt.Sprintf("push image %s to %s", image, registry), hint)
}

// notThere says whether a registry answered that it has no such image. Some
// answer 401 or 403 instead to those who may not see the repository; those are
// not meant here.
func notThere(err error) bool {
	var te *transport.Error
	return errors.As(err, &te) && te.StatusCode == http.StatusNotFound
}

// explainStore looks why the cache did not take an image.
func (s *Store) explainStore(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	logs, logErr := s.container.Logs(ctx, 15)
	if logErr == nil && strings.Contains(logs, "no space left on device") {
		err = fmt.Errorf("no space left on device: %w", err)
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return &clierr.Error{Err: err, Hint: "the image cache went away; run the command again", Detail: logs}
	}
	return diskFull(err)
}

// diskFull adds advice to an error about a full disk.
func diskFull(err error) error {
	if err == nil || !errors.Is(err, syscall.ENOSPC) && !strings.Contains(err.Error(), "no space left on device") {
		return err
	}
	return clierr.Wrap(err, "", "free disk space: `labctl images prune`, `docker system df` shows where it went")
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
