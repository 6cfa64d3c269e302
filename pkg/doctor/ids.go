package doctor

// The ids of findings. They are public: `--ignore`, scripts and docs use them.
const (
	IDEngine            = "engine"
	IDEngineMissing     = "engine-missing"
	IDEngineUnsupported = "engine-unsupported"
	IDEnginePermission  = "engine-permission"
	IDEngineDown        = "engine-down"
	IDEngineHangs       = "engine-hangs"
	IDEngineConfig      = "engine-config"
	IDEngineVersion     = "engine-version"
	IDEngineStorage     = "engine-storage"
	IDEngineImageStore  = "engine-image-store"
	IDCgroup            = "cgroup-version"
	IDCapabilities      = "capabilities"
	IDArch              = "arch"
	IDMemory            = "memory"
	IDCPU               = "cpu"
	IDDisk              = "disk"
	IDInotifyInstances  = "inotify-instances"
	IDInotifyWatches    = "inotify-watches"
	IDOpenFiles         = "open-files"
	IDPorts             = "ports"
	IDTimeSkew          = "time-skew"
	IDProxy             = "proxy"
	IDCABundle          = "ca-bundle"
	IDForeignLabctl     = "foreign-labctl"
	IDBuildTools        = "build-tools"
	IDBuildGo           = "build-go"
)

// IDs gives every id that a report can hold, in its order. The first one stands
// for an engine that answers; the six after it for why one does not.
func IDs() []string {
	return []string{
		IDEngine, IDEngineMissing, IDEngineUnsupported, IDEnginePermission, IDEngineDown, IDEngineHangs, IDEngineConfig,
		IDEngineVersion, IDEngineStorage, IDEngineImageStore, IDCgroup, IDCapabilities, IDArch, IDMemory, IDCPU, IDDisk,
		IDInotifyInstances, IDInotifyWatches, IDOpenFiles, IDPorts, IDTimeSkew, IDProxy, IDCABundle, IDForeignLabctl,
		IDBuildTools, IDBuildGo,
	}
}
