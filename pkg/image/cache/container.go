// Package cache is the image cache: a registry container beside the cluster
// whose volume outlives clusters, and the client for what lies in it. It is not
// for deciding which images are needed or how they are made.
package cache

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"labctl.dev/labctl/pkg/clierr"
	"labctl.dev/labctl/pkg/internal/docker"
)

const (
	// Name is the name of the container and of its volume.
	Name = "labctl-cache"
	// Address is where nodes reach the cache in a docker network of theirs.
	Address = Name + ":5000"
	// Host is the registry name in the image references of pods; nodes are told
	// that the cache is its mirror (see HostsTOML).
	Host = "registry.labctl"

	port      = "5000/tcp"
	firstPort = 5411 // tried first, so that the address is easy to remember
	dataDir   = "/var/lib/registry"
	readyIn   = 15 * time.Second
	pollEvery = 50 * time.Millisecond
)

// Container runs the registry. Make one with NewContainer.
type Container struct {
	docker *docker.CLI
	name   string
	// answers and freePort stand at the edge of the machine; tests replace them.
	answers  func(ctx context.Context, addr string) error
	freePort func(ctx context.Context, preferred int) (int, error)
}

// NewContainer makes the Container of this machine; it touches nothing yet.
func NewContainer(cli *docker.CLI) *Container {
	return &Container{docker: cli, name: Name, answers: answers, freePort: freePort}
}

// inspected is what `docker inspect` says about the container.
type inspected struct {
	Path  string
	Args  []string
	State struct {
		Status string
	}
	Config struct {
		Image  string
		Labels map[string]string
	}
	HostConfig struct {
		PortBindings map[string][]struct{ HostIP, HostPort string }
	}
	Mounts          []struct{ Name, Destination string }
	NetworkSettings struct {
		Networks map[string]struct{}
	}
}

func (i inspected) addr() string {
	b := i.HostConfig.PortBindings[port]
	if len(b) != 1 || b[0].HostPort == "" {
		return ""
	}
	return net.JoinHostPort(b[0].HostIP, b[0].HostPort)
}

// sound says whether the container is the one we would make.
func (i inspected) sound(image, volume string) bool {
	return i.Config.Image == image && i.addr() != "" &&
		slices.ContainsFunc(i.Mounts, func(m struct{ Name, Destination string }) bool {
			return m.Name == volume && m.Destination == dataDir
		})
}

// Ensure makes the cache run with the given image and gives its address on this
// machine. Whatever state an earlier run left (stopped, paused, half made, port
// lost to another program, older image), it ends with a cache that answers; the
// images in the volume stay.
func (c *Container) Ensure(ctx context.Context, image string) (string, error) {
	cur, err := c.inspect(ctx)
	if err != nil && !errors.Is(err, docker.ErrNotFound) {
		return "", err
	}
	if err == nil && cur.sound(image, c.name) {
		if err := c.wake(ctx, cur); err == nil {
			return cur.addr(), nil
		} else if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
	}
	return c.recreate(ctx, image, err == nil)
}

// Running gives the address of a cache that runs with the given image and
// answers; an empty one means that Ensure has something to do.
func (c *Container) Running(ctx context.Context, image string) (string, error) {
	cur, err := c.inspect(ctx)
	if errors.Is(err, docker.ErrNotFound) {
		return "", nil
	}
	if err != nil || cur.State.Status != "running" || !cur.sound(image, c.name) || c.answers(ctx, cur.addr()) != nil {
		return "", err
	}
	return cur.addr(), nil
}

// wake starts a container that was found and waits until it answers.
func (c *Container) wake(ctx context.Context, cur inspected) error {
	switch cur.State.Status {
	case "running":
	case "paused":
		if _, err := c.docker.Run(ctx, "unpause", c.name); err != nil {
			return err
		}
	default:
		if _, err := c.docker.Run(ctx, "start", c.name); err != nil {
			return err
		}
	}
	return c.waitReady(ctx, cur.addr())
}

// recreate replaces the container. The networks it was in are joined again.
func (c *Container) recreate(ctx context.Context, image string, exists bool) (string, error) {
	var networks []string
	if exists {
		var err error
		if networks, err = c.Networks(ctx); err != nil {
			return "", err
		}
		if err := c.removeContainer(ctx); err != nil {
			return "", err
		}
	}
	if err := c.ensureVolume(ctx); err != nil {
		return "", err
	}
	var last error
	for try := range 3 {
		preferred := firstPort
		if try > 0 {
			preferred = 0
		}
		addr, err := c.create(ctx, image, preferred)
		if err == nil {
			return addr, c.Rejoin(ctx, networks)
		}
		if nameTaken(err) {
			// Another labctl was faster; what it made is as good.
			return c.adopt(ctx)
		}
		last = err
		if err := c.removeContainer(ctx); err != nil {
			return "", err
		}
		if !portTaken(err) {
			break
		}
	}
	return "", clierr.Wrap(last, "start the image cache", "")
}

// adopt waits for a container that somebody else of us has just made.
func (c *Container) adopt(ctx context.Context) (string, error) {
	cur, err := c.inspect(ctx)
	if err != nil {
		return "", err
	}
	return cur.addr(), c.waitReady(ctx, cur.addr())
}

func (c *Container) create(ctx context.Context, image string, preferred int) (string, error) {
	p, err := c.freePort(ctx, preferred)
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(p))
	_, err = c.docker.Run(ctx, "run", "--detach", "--pull", "never", "--name", c.name,
		"--label", docker.OwnerLabel+"="+docker.OwnerValue,
		"--volume", c.name+":"+dataDir,
		"--publish", addr+":5000",
		// It runs for as long as the machine does, and logs each 404.
		"--log-driver", "json-file", "--log-opt", "max-size=1m",
		// What the cache must be able to do, whatever the image's own file says.
		"--env", "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY="+dataDir,
		"--env", "REGISTRY_STORAGE_DELETE_ENABLED=true",
		"--env", "REGISTRY_HTTP_ADDR=:5000",
		// A memory of blobs would hide that one was damaged or collected.
		"--env", "REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR=none",
		"--env", "OTEL_TRACES_EXPORTER=none",
		image)
	if err != nil {
		return "", err
	}
	return addr, c.waitReady(ctx, addr)
}

// portTaken reads the engine's words for a port that somebody else has.
func portTaken(err error) bool {
	return strings.Contains(err.Error(), "port is already allocated") || strings.Contains(err.Error(), "address already in use")
}

func nameTaken(err error) bool {
	return strings.Contains(err.Error(), "is already in use by container")
}

// waitReady polls until the registry answers; it gives up early when the
// container has ended.
func (c *Container) waitReady(ctx context.Context, addr string) error {
	wait, cancel := context.WithTimeout(ctx, readyIn)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for n := 1; ; n++ {
		err := c.answers(wait, addr)
		if err == nil {
			return nil
		}
		if n%10 == 0 {
			if cur, ierr := c.inspect(wait); ierr == nil && cur.State.Status != "running" {
				return c.died(ctx, cur.State.Status)
			}
		}
		select {
		case <-wait.Done():
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return clierr.New("see `docker logs "+c.name+"`; is the engine on another machine?",
				"the image cache does not answer on %s: %w", addr, err)
		case <-tick.C:
		}
	}
}

func (c *Container) died(ctx context.Context, status string) error {
	e := clierr.New("`labctl images prune` removes what it can; `labctl down --all --purge` removes the cache itself",
		"the image cache ended at once (%s)", status)
	if out, err := c.Logs(ctx, 15); err == nil {
		e.Detail = out
	}
	return e
}

// Logs gives the last lines that the registry wrote.
func (c *Container) Logs(ctx context.Context, lines int) (string, error) {
	var b strings.Builder
	err := c.docker.Stream(ctx, nil, &b, &b, nil, "logs", "--tail", strconv.Itoa(lines), c.name)
	return strings.TrimSpace(b.String()), err
}

// Find gives the address of a cache that runs; docker.ErrNotFound when there is
// no container, an empty address when it does not run.
func (c *Container) Find(ctx context.Context) (string, error) {
	cur, err := c.inspect(ctx)
	if err != nil || cur.State.Status != "running" {
		return "", err
	}
	return cur.addr(), nil
}

// inspect looks at the container and refuses one that is not ours.
func (c *Container) inspect(ctx context.Context) (inspected, error) {
	var cur inspected
	if err := c.docker.Inspect(ctx, "container", c.name, &cur); err != nil {
		return cur, err
	}
	if cur.Config.Labels[docker.OwnerLabel] != docker.OwnerValue {
		return cur, clierr.New("rename it or remove it: docker rename "+c.name+" other-"+c.name,
			"a container %s exists that labctl did not make", c.name)
	}
	return cur, nil
}

func (c *Container) ensureVolume(ctx context.Context) error {
	// Creating a volume that exists changes nothing and is no error.
	_, err := c.docker.Run(ctx, "volume", "create", "--label", docker.OwnerLabel+"="+docker.OwnerValue, c.name)
	return err
}

func (c *Container) removeContainer(ctx context.Context) error {
	_, err := c.docker.Run(ctx, "rm", "--force", c.name)
	if errors.Is(err, docker.ErrNotFound) {
		return nil
	}
	return err
}

// Remove removes the container and the volume with all images in it.
func (c *Container) Remove(ctx context.Context) error {
	if _, err := c.inspect(ctx); err == nil {
		if err := c.removeContainer(ctx); err != nil {
			return err
		}
	} else if !errors.Is(err, docker.ErrNotFound) {
		return err
	}
	var vol struct{ Labels map[string]string }
	switch err := c.docker.Inspect(ctx, "volume", c.name, &vol); {
	case errors.Is(err, docker.ErrNotFound):
		return nil
	case err != nil:
		return err
	case vol.Labels[docker.OwnerLabel] != docker.OwnerValue:
		return clierr.New("look what it is: docker volume inspect "+c.name, "a volume %s exists that labctl did not make", c.name)
	}
	_, err := c.docker.Run(ctx, "volume", "rm", c.name)
	return err
}

// Join puts the cache into a docker network, where nodes find it as Address.
func (c *Container) Join(ctx context.Context, network string) error {
	cur, err := c.inspect(ctx)
	if err != nil {
		return err
	}
	if _, ok := cur.NetworkSettings.Networks[network]; ok {
		return nil
	}
	_, err = c.docker.Run(ctx, "network", "connect", network, c.name)
	if err != nil && strings.Contains(err.Error(), "already exists in network") {
		return nil
	}
	return err
}

// Leave takes the cache out of a network, so that the network can be removed.
// A cache or a network that is not there is no error.
func (c *Container) Leave(ctx context.Context, network string) error {
	cur, err := c.inspect(ctx)
	if errors.Is(err, docker.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, ok := cur.NetworkSettings.Networks[network]; !ok {
		return nil
	}
	_, err = c.docker.Run(ctx, "network", "disconnect", "--force", network, c.name)
	if errors.Is(err, docker.ErrNotFound) {
		return nil
	}
	return err
}

// Networks gives the networks that the cache is in, none when it is not there.
func (c *Container) Networks(ctx context.Context) ([]string, error) {
	cur, err := c.inspect(ctx)
	if errors.Is(err, docker.ErrNotFound) {
		return nil, nil
	}
	return slices.Sorted(maps.Keys(cur.NetworkSettings.Networks)), err
}

// Rejoin puts a cache that was made anew into the networks it was in; those that
// are gone are left out.
func (c *Container) Rejoin(ctx context.Context, networks []string) error {
	for _, n := range networks {
		if err := c.Join(ctx, n); err != nil && !errors.Is(err, docker.ErrNotFound) {
			return err
		}
	}
	return nil
}

// collect runs the registry's garbage collection, which deletes every blob that
// no tagged image needs. Nothing may write to the cache meanwhile.
func (c *Container) collect(ctx context.Context) error {
	cur, err := c.inspect(ctx)
	if err != nil {
		return err
	}
	if len(cur.Args) == 0 {
		return fmt.Errorf("the image cache was started without a configuration: %s", cur.Path)
	}
	if _, err := c.docker.Exec(ctx, c.name, cur.Path, "garbage-collect", "--delete-untagged", cur.Args[len(cur.Args)-1]); err != nil {
		return fmt.Errorf("collect unused blobs: %w", err)
	}
	// The registry may remember blobs that are gone now and would take a push of
	// them for done.
	if _, err := c.docker.Run(ctx, "restart", "--time", "5", c.name); err != nil {
		return err
	}
	return c.waitReady(ctx, cur.addr())
}

// answers asks a registry whether it is one.
func answers(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/v2/", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := directClient().Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Docker-Distribution-Api-Version"), "registry/2") {
		return fmt.Errorf("%s answers %s and is not a registry", addr, resp.Status)
	}
	return nil
}

// directClient talks to this machine, so never through a proxy.
func directClient() *http.Client {
	return &http.Client{Transport: directTransport()}
}

func directTransport() *http.Transport {
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		MaxIdleConnsPerHost: 16,
		IdleConnTimeout:     30 * time.Second,
		DisableCompression:  true,
	}
}

// freePort gives the preferred port when nobody listens there, else any.
func freePort(ctx context.Context, preferred int) (int, error) {
	var lc net.ListenConfig
	for _, p := range []int{preferred, 0} {
		l, err := lc.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p)))
		if err != nil {
			continue
		}
		addr, ok := l.Addr().(*net.TCPAddr)
		if err := l.Close(); err != nil {
			return 0, err
		}
		if ok {
			return addr.Port, nil
		}
	}
	return 0, errors.New("no port is free on 127.0.0.1")
}
