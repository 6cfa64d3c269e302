package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/go-containerregistry/pkg/authn"
	"golang.org/x/sync/semaphore"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/image/build"
	"labctl.dev/labctl/pkg/image/cache"
	"labctl.dev/labctl/pkg/image/spec"
	"labctl.dev/labctl/pkg/internal/docker"
	"labctl.dev/labctl/pkg/internal/execx"
)

// lockFile is in the work directory.
const lockFile = "lock"

// buildsAtOnce bounds builds that run side by side. One image waits for the
// network while another computes; more than two only fight for disk and CPU.
const buildsAtOnce = 2

// Options is what a Store needs.
type Options struct {
	Docker      *docker.CLI
	Runner      execx.Runner
	Definitions fs.FS  // usually images.FS
	WorkDir     string // scratch, can be deleted when nothing runs
	LogDir      string // one log per image that was built
	Registry    string // "" or where ready images may be pulled from
	Way         Way    // "" is Auto
	Environ     []string
	// Node builds the kind node image without public images.
	Node NodeBuilder
	// Reachable says whether public images can be pulled; nil asks their registry.
	Reachable func(ctx context.Context, image string) bool
	// Keychain finds passwords for registries; nil is that of `docker login`.
	Keychain authn.Keychain
}

// NodeBuilder builds the kind node image at home.
type NodeBuilder interface {
	BuildNode(ctx context.Context, r NodeRequest) error
}

// NodeRequest is one node image to build.
type NodeRequest struct {
	Ref      string // name of the result in the engine
	Platform string
	Files    []spec.File // the definition's directory
	Log      string      // path of the full log
	WorkDir  string
	Environ  []string
	Progress func(build.Progress)
}

// Store resolves, builds and keeps images. It is safe for concurrent use.
type Store struct {
	docker    *docker.CLI
	set       *spec.Set
	builder   *build.Builder
	container *cache.Container
	node      NodeBuilder
	registry  string
	insecure  bool
	way       Way
	workDir   string
	environ   []string
	keychain  authn.Keychain
	reachable func(ctx context.Context, image string) bool
	builds    *semaphore.Weighted

	mu       sync.Mutex
	platform string
	chosen   Way
}

// New makes a Store. It reads the definitions and touches nothing else.
func New(o Options) (*Store, error) {
	set, err := spec.Load(o.Definitions)
	if err != nil {
		return nil, fmt.Errorf("image definitions: %w", err)
	}
	switch o.Way {
	case "":
		o.Way = Auto
	case Auto, Public, Home:
	default:
		return nil, clierr.Usage("use auto, public or home", "unknown way %q to get images", o.Way)
	}
	s := &Store{
		docker: o.Docker, set: set, node: o.Node, way: o.Way, workDir: o.WorkDir, environ: o.Environ,
		builder:   build.New(build.Options{Docker: o.Docker, Runner: o.Runner, WorkDir: o.WorkDir, LogDir: o.LogDir, Environ: o.Environ}),
		container: cache.NewContainer(o.Docker),
		keychain:  o.Keychain, reachable: o.Reachable,
		builds: semaphore.NewWeighted(buildsAtOnce),
	}
	if s.keychain == nil {
		s.keychain = authn.DefaultKeychain
	}
	if s.reachable == nil {
		s.reachable = reachable
	}
	s.registry, s.insecure = splitRegistry(o.Registry)
	return s, nil
}

// Names gives all images that have a definition, bases first.
func (s *Store) Names() []string { return s.set.Names() }

// Container gives the cache's container, to join and leave networks.
func (s *Store) Container() *cache.Container { return s.container }

// inEngine says whether an image is used from the engine's own store: kind
// starts nodes from there, and the cache can't hold the image it runs on.
func (s *Store) inEngine(name string) bool {
	d, err := s.set.Get(name)
	return err == nil && (d.Build == spec.Node || name == RegistryImage)
}

// targetPlatform asks the engine once what it runs on.
func (s *Store) targetPlatform(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.platform == "" {
		p, err := s.docker.Run(ctx, "version", "--format", "{{.Server.Os}}/{{.Server.Arch}}")
		if err != nil {
			return "", fmt.Errorf("ask the engine for its platform: %w", err)
		}
		if p != "linux/amd64" && p != "linux/arm64" {
			return "", clierr.Unfit("arch", "use an engine on linux/amd64 or linux/arm64", "images can't be made for %s", p)
		}
		s.platform = p
	}
	return s.platform, nil
}

// candidates gives the references that satisfy a wish for name, best first.
func (s *Store) candidates(ctx context.Context, name string) ([]Ref, error) {
	platform, err := s.targetPlatform(ctx)
	if err != nil {
		return nil, err
	}
	ways := []Way{Home, Public}
	if s.way != Auto {
		ways = []Way{s.way}
	}
	refs := make([]Ref, 0, len(ways))
	for _, w := range ways {
		tag, err := s.set.Tag(name, w, platform)
		if err != nil {
			return nil, err
		}
		refs = append(refs, Ref{Name: name, Tag: tag, Way: w})
	}
	return refs, nil
}

// chooseWay decides once how images are built.
func (s *Store) chooseWay(ctx context.Context) (Way, error) {
	if s.way != Auto {
		return s.way, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.chosen != "" {
		return s.chosen, nil
	}
	switch {
	case s.reachable(ctx, spec.GolangImage):
		s.chosen = Public
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case runtime.GOOS == "linux":
		s.chosen = Home
	default:
		return "", clierr.Unfit("no-registry", "connect to the internet, or name a registry that has the images with --registry",
			"public images can't be pulled, and on %s images can't be built without them", runtime.GOOS)
	}
	return s.chosen, nil
}

// lock keeps other labctl processes from building or pruning meanwhile. It says
// what it waits for.
func (s *Store) lock(ctx context.Context, waiting func()) (unlock func(), err error) {
	for {
		if err := os.MkdirAll(s.workDir, 0o700); err != nil {
			return nil, fmt.Errorf("lock images: %w", err)
		}
		l := flock.New(filepath.Join(s.workDir, lockFile))
		ok, err := l.TryLock()
		if err == nil && !ok {
			waiting()
			ok, err = l.TryLockContext(ctx, 200*time.Millisecond)
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue // Remove took the directory away
		}
		if err != nil || !ok {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return nil, fmt.Errorf("lock images: %w", err)
		}
		if inPlace(l) {
			return func() { _ = l.Unlock() }, nil
		}
		// Remove took the file away meanwhile: others would lock a new one.
		_ = l.Unlock()
	}
}

// inPlace says whether a lock is on the file that has its name.
func inPlace(l *flock.Flock) bool {
	mine, err := l.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(l.Path())
	return err == nil && os.SameFile(mine, there)
}

// splitRegistry reads --registry: plain HTTP must be asked for, but on this
// machine it is what everybody means.
func splitRegistry(r string) (host string, insecure bool) {
	r = strings.TrimSuffix(r, "/")
	if h, ok := strings.CutPrefix(r, "http://"); ok {
		return h, true
	}
	r = strings.TrimPrefix(r, "https://")
	name, _, _ := strings.Cut(r, "/")
	name, _, _ = strings.Cut(name, ":")
	return r, name == "localhost" || strings.HasPrefix(name, "127.")
}
