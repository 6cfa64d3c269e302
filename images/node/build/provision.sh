#!/bin/sh
# Runs in the node's root file system, after kind's files, ours and the programs were laid over it. Usage: provision.sh KUBERNETES_VERSION
# The steps are those of kind's images/base/Dockerfile.
set -eux
cat "$(dirname "$0")/containerd.toml" >> /etc/containerd/config.toml
sed -i 's/restrict_oom_score_adj = false/restrict_oom_score_adj = true/' /etc/containerd/config.toml
mkdir -p /etc/kubernetes/manifests /etc/containerd/certs.d
echo "$1" > /kind/version

# Units that make no sense in a container.
rm -f /lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service \
	/lib/systemd/system/multi-user.target.wants/* /etc/systemd/system/*.wants/* \
	/lib/systemd/system/local-fs.target.wants/* /lib/systemd/system/basic.target.wants/* \
	/lib/systemd/system/sockets.target.wants/*udev* /lib/systemd/system/sockets.target.wants/*initctl*
echo ReadKMsg=no >> /etc/systemd/journald.conf
ln -sf /lib/systemd/systemd /sbin/init
systemctl enable kubelet.service containerd.service undo-mount-hacks.service
systemctl mask systemd-binfmt.service

# kind's hook that shows pods a product UUID of their node is left out: it costs a shell, jq and cp per container.
ctr oci spec | jq 'del(.process.rlimits)' > /etc/containerd/cri-base.json
containerd --version
runc --version

# The engine copies /var for every node that starts. The list of packages is in /usr/share/labctl/packages.txt.
rm -rf /var/lib/dpkg/info /var/lib/apt /var/cache/* /var/log/*
