package host

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"labctl.dev/labctl/pkg/internal/execx"
)

// State says how the engine answered.
type State string

// The states of an engine.
const (
	Running     State = "running"
	Missing     State = "missing"     // no engine is installed
	Unsupported State = "unsupported" // another engine than Docker answers
	Permission  State = "permission"  // the socket may not be opened
	Down        State = "down"        // installed, does not run
	Hangs       State = "hangs"       // does not answer in time
)

// Flavor is the product that runs the engine; empty is the plain engine.
type Flavor string

// The products that are told apart because their limits are set in different places.
const (
	DockerDesktop  Flavor = "Docker Desktop"
	Colima         Flavor = "Colima"
	OrbStack       Flavor = "OrbStack"
	RancherDesktop Flavor = "Rancher Desktop"
)

// DefaultSocket is where an engine on this machine listens if nobody says otherwise.
const DefaultSocket = "unix:///var/run/docker.sock"

// Engine is the container engine that labctl would use.
type Engine struct {
	State   State
	Client  string // path of the docker command
	Product string // what answers in place of Docker, for example "podman"
	Detail  string // the engine's own words when it does not run
	Host    string // DOCKER_HOST, when set
	Context string
	// Default is true when the engine is that of this machine at its usual
	// socket, so that starting it here can help.
	Default bool
	// Installed is true when the engine's daemon is on this machine.
	Installed bool
	// Alive is true when a daemon process runs, whether or not it answers.
	Alive  bool
	Flavor Flavor
	// Local is true when the engine shares this machine's kernel and disks, so
	// that what is read here holds for it. Otherwise it is in a virtual machine.
	Local bool
	// Skew is the engine's clock minus ours.
	Skew time.Duration
	Info Info
}

// Info is the part of `docker info` that counts.
type Info struct {
	Driver          string
	DriverStatus    [][2]string
	CgroupVersion   string
	CgroupDriver    string
	KernelVersion   string
	OperatingSystem string
	OSType          string
	Architecture    string
	NCPU            int
	MemTotal        int64
	DockerRootDir   string
	HTTPProxy       string `json:"HttpProxy"`
	HTTPSProxy      string `json:"HttpsProxy"`
	NoProxy         string
	Name            string
	ServerVersion   string
	DefaultRuntime  string
	Runtimes        map[string]struct {
		Path string `json:"path"`
	}
	SecurityOptions []string
	SystemTime      string
	ServerErrors    []string
	ClientInfo      struct{ Context string }
}

// Status looks up a key of the storage driver's status.
func (i Info) Status(key string) string {
	for _, kv := range i.DriverStatus {
		if kv[0] == key {
			return kv[1]
		}
	}
	return ""
}

type serverVersion struct {
	Server *struct {
		Platform   struct{ Name string }
		Components []struct{ Name string }
	}
}

func (m Machine) engine(ctx context.Context) Engine {
	e := Engine{Client: m.Find("docker"), Host: m.env("DOCKER_HOST"), Context: m.env("DOCKER_CONTEXT")}
	e.Installed = m.OS == "linux" && (m.Find("dockerd") != "" || m.Exists("/lib/systemd/system/docker.service") || m.Exists("/usr/lib/systemd/system/docker.service"))
	e.Alive = m.OS == "linux" && m.ProcessAlive("dockerd")
	if e.Client == "" {
		e.State = Missing
		for _, other := range []string{"podman", "nerdctl"} {
			if m.Find(other) != "" {
				e.State, e.Product = Unsupported, other
				break
			}
		}
		e.Default = e.Host == "" || e.Host == DefaultSocket
		return e
	}
	var (
		wg                     sync.WaitGroup
		name, version, info    []byte
		infoErr                error
		asked, answered        time.Time
		nameCmd, verCmd, inCmd = []string{"--version"}, []string{"version", "-f", "{{json .}}"}, []string{"info", "-f", "{{json .}}"}
	)
	wg.Go(func() { name, _ = m.docker(ctx, nameCmd...) })
	wg.Go(func() { version, _ = m.docker(ctx, verCmd...) })
	wg.Go(func() {
		asked = m.Now()
		info, infoErr = m.docker(ctx, inCmd...)
		answered = m.Now()
	})
	wg.Wait()

	if e.Product = impostor(string(name)); e.Product != "" {
		e.State = Unsupported
		return e
	}
	// Clients since 23 print a full document of zeros beside the error.
	_ = json.Unmarshal(info, &e.Info)
	if e.Context == "" {
		e.Context = e.Info.ClientInfo.Context
	}
	e.Default = (e.Host == "" || e.Host == DefaultSocket) && (e.Context == "" || e.Context == "default")
	if e.Info.ServerVersion == "" || len(e.Info.ServerErrors) > 0 {
		m.classify(ctx, &e, infoErr)
		return e
	}
	e.State = Running
	var sv serverVersion
	if json.Unmarshal(version, &sv) == nil && sv.Server != nil {
		for _, c := range sv.Server.Components {
			if strings.Contains(strings.ToLower(c.Name), "podman") {
				e.State, e.Product = Unsupported, "podman"
			}
		}
	}
	e.Flavor = flavor(e)
	e.Local = m.OS == "linux" && e.Flavor != DockerDesktop && e.Info.KernelVersion == m.text("/proc/sys/kernel/osrelease") && m.Exists(e.Info.DockerRootDir)
	if t, err := time.Parse(time.RFC3339Nano, e.Info.SystemTime); err == nil {
		e.Skew = t.Sub(asked.Add(answered.Sub(asked) / 2))
	}
	return e
}

func (m Machine) docker(ctx context.Context, args ...string) ([]byte, error) {
	return execx.Output(ctx, m.Run, execx.Cmd{Name: "docker", Args: args})
}

// impostor tells which other program answers to the name docker.
func impostor(version string) string {
	v := strings.ToLower(version)
	for _, name := range []string{"podman", "nerdctl"} {
		if strings.HasPrefix(v, name) {
			return name
		}
	}
	return ""
}

// classify finds out why the engine gave no answer.
func (m Machine) classify(ctx context.Context, e *Engine, err error) {
	e.Detail = strings.Join(e.Info.ServerErrors, "; ")
	var exit *execx.ExitError
	if errors.As(err, &exit) && e.Detail == "" {
		e.Detail = lastLine(exit.Stderr)
	} else if err != nil && e.Detail == "" {
		e.Detail = err.Error()
	}
	e.Info = Info{}
	switch {
	case ctx.Err() != nil:
		e.State = Hangs
	case strings.Contains(strings.ToLower(e.Detail), "permission denied"):
		e.State = Permission
	case m.OS == "linux" && e.Default && !e.Installed && !e.Alive:
		// A docker command without an engine: a CI image or a leftover client.
		e.State = Missing
	default:
		e.State = Down
	}
}

func flavor(e Engine) Flavor {
	all := strings.ToLower(e.Info.OperatingSystem + " " + e.Info.Name + " " + e.Context + " " + e.Host)
	for _, f := range []struct {
		word string
		name Flavor
	}{
		{"docker desktop", DockerDesktop},
		{"desktop-linux", DockerDesktop},
		{"rancher-desktop", RancherDesktop},
		{"rancher desktop", RancherDesktop},
		{"orbstack", OrbStack},
		{"colima", Colima},
	} {
		if strings.Contains(all, f.word) {
			return f.name
		}
	}
	return ""
}

// VersionParts reads the leading numbers of a version such as "20.10.24+dfsg1".
func VersionParts(v string) (major, minor int, ok bool) {
	v = strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(v), "go"), "v")
	parts := strings.SplitN(v, ".", 3)
	if len(parts) < 2 {
		return 0, 0, false
	}
	major, err1 := strconv.Atoi(parts[0])
	digits := len(parts[1]) - len(strings.TrimLeft(parts[1], "0123456789"))
	minor, err2 := strconv.Atoi(parts[1][:digits])
	return major, minor, err1 == nil && err2 == nil
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
