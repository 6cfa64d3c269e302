package fix

import "fmt"

// capNames are the capabilities of Linux by number (linux/capability.h).
func capNames() []string {
	return []string{
		"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE",
		"NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT",
		"SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE",
		"AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ",
		"PERFMON", "BPF", "CHECKPOINT_RESTORE",
	}
}

// CapNames gives the names of capabilities with their prefix CAP_.
func CapNames(numbers []int) []string {
	names := capNames()
	out := make([]string, 0, len(numbers))
	for _, n := range numbers {
		if n >= 0 && n < len(names) {
			out = append(out, "CAP_"+names[n])
		} else {
			out = append(out, fmt.Sprintf("capability %d", n))
		}
	}
	return out
}
