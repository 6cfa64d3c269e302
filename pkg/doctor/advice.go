package doctor

import (
	"fmt"

	"labctl.dev/labctl/pkg/doctor/host"
)

// fixCommand is how this user would let labctl repair things.
func fixCommand(f host.Facts) string {
	if f.Admin {
		return "labctl doctor --fix"
	}
	return "sudo labctl doctor --fix"
}

func installAdvice(f host.Facts) (cmd string, fixable bool) {
	switch {
	case f.OS == "darwin":
		return "brew install --cask docker-desktop && open -a Docker (or: brew install colima docker && colima start --cpu 4 --memory 8)", false
	case f.OS == "windows":
		return "winget install Docker.DockerDesktop, then start Docker Desktop", false
	case f.System.WSL:
		return "Docker Desktop on Windows: Settings > Resources > WSL integration: switch this distribution on", false
	case f.System.Distro.Debian() && f.HasApt && f.Engine.Default:
		return fixCommand(f) + " (installs the package docker.io)", true
	default:
		return "install Docker Engine: https://docs.docker.com/engine/install/", false
	}
}

func startAdvice(f host.Facts) (cmd string, fixable bool) {
	switch {
	case f.Engine.Host != "" && !f.Engine.Default:
		return "DOCKER_HOST is " + f.Engine.Host + ": start that engine, or unset DOCKER_HOST", false
	case !f.Engine.Default && f.Engine.Context == "colima":
		return "colima start", false
	case f.OS == "darwin" && f.Engine.Context == "orbstack":
		return "open -a OrbStack", false
	case f.OS == "darwin":
		return "open -a Docker (Colima: colima start)", false
	case f.OS == "windows":
		return "start Docker Desktop", false
	case !f.Engine.Default:
		return "docker's context is " + f.Engine.Context + ": start that engine, or docker context use default", false
	case !f.Engine.Installed && f.System.WSL:
		return "start Docker Desktop on Windows", false
	case f.DaemonCfg.Broken != "":
		return "repair " + host.DaemonJSON + " first", false
	case f.System.Init == "systemd":
		return "sudo systemctl start docker", true
	default:
		return fixCommand(f), true
	}
}

func restartAdvice(f host.Facts) string {
	switch {
	case f.Engine.Flavor == host.Colima || f.Engine.Context == "colima":
		return "colima restart"
	case f.Engine.Flavor == host.OrbStack:
		return "orb restart"
	case f.Engine.Flavor == host.RancherDesktop:
		return "rdctl shutdown && rdctl start"
	case f.System.WSL, f.OS == "windows":
		return "wsl --shutdown (in PowerShell), then start Docker Desktop again"
	case f.OS == "darwin" || f.Engine.Flavor == host.DockerDesktop:
		return "docker desktop restart"
	case f.System.Init == "systemd":
		return "sudo systemctl restart docker (look at: journalctl -u docker -n 50)"
	default:
		return "stop the engine's process, then start it again"
	}
}

func permissionAdvice(f host.Facts) string {
	switch f.OS {
	case "windows":
		return "add yourself to the group docker-users and sign in again"
	case "darwin":
		return "restart Docker Desktop; it makes the socket for your user"
	default:
		return `sudo usermod -aG docker "$USER", then sign in again (members of the group docker have root's power)`
	}
}

// memoryAdvice names the place where this engine's memory is set.
func memoryAdvice(f host.Facts, mi int64) string {
	// A machine gives its guests a little less than it is set to.
	gib := (mi + 512 + 1023) / 1024
	switch {
	case f.Engine.Flavor == host.Colima:
		return fmt.Sprintf("colima stop && colima start --memory %d", gib)
	case f.Engine.Flavor == host.OrbStack:
		return fmt.Sprintf("orb config set memory_mib %d && orb restart", gib*1024)
	case f.Engine.Flavor == host.RancherDesktop:
		return fmt.Sprintf("rdctl set --virtual-machine.memory-in-gb %d", gib)
	case f.OS == "windows" || f.System.WSL:
		return fmt.Sprintf("set memory=%dGB under [wsl2] in %%UserProfile%%\\.wslconfig, then wsl --shutdown", gib)
	case f.Engine.Flavor == host.DockerDesktop:
		return fmt.Sprintf("Docker Desktop: Settings > Resources > Memory: %d GB", gib)
	case !f.Engine.Local && f.Engine.State == host.Running:
		return fmt.Sprintf("give the engine's machine %d GB", gib)
	default:
		return fmt.Sprintf("use a machine with %d GB, or a smaller lab (labctl list)", gib)
	}
}

func cpuAdvice(f host.Facts, milli int64) string {
	n := (milli + 999) / 1000
	switch {
	case f.Engine.Flavor == host.Colima:
		return fmt.Sprintf("colima stop && colima start --cpu %d", n)
	case f.Engine.Flavor == host.OrbStack:
		return fmt.Sprintf("orb config set cpu %d && orb restart", n)
	case f.Engine.Flavor == host.RancherDesktop:
		return fmt.Sprintf("rdctl set --virtual-machine.number-cpus %d", n)
	case f.OS == "windows" || f.System.WSL:
		return fmt.Sprintf("set processors=%d under [wsl2] in %%UserProfile%%\\.wslconfig, then wsl --shutdown", n)
	case f.Engine.Flavor == host.DockerDesktop:
		return fmt.Sprintf("Docker Desktop: Settings > Resources > CPU limit: %d", n)
	default:
		return fmt.Sprintf("use a machine with %d CPUs, or a smaller lab (labctl list)", n)
	}
}
