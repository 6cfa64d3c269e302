#!/bin/sh
# Imports an archive of images (standard input) into the node's containerd and moves their layers out of /var.
#
# /var is a volume on a node, and the engine copies what the image has there whenever a node is made. So only containerd's
# databases stay in /var; the directory of each layer becomes a link to the read-only copy in /kind/layers. As lower layers
# of an overlay they need no file system of their own. kubelet, kubeadm and kubectl are links into a layer, too.
set -eux
root=/mnt/containerd # a volume: the layers of an image are put together in overlays, which can't lie on an overlay
snapshots=$root/io.containerd.snapshotter.v1.overlayfs/snapshots

echo 'version = 3' > /tmp/containerd.toml
containerd --config /tmp/containerd.toml --root $root > /tmp/containerd.log 2>&1 &
daemon=$!
trap 'tail -n 20 /tmp/containerd.log' EXIT
tries=0
until ctr version > /dev/null 2>&1; do
	tries=$((tries + 1))
	[ $tries -lt 300 ] && kill -0 $daemon
	sleep 0.1
done

# Pinned: kubelet must not collect them when the disk is full, there may be no registry to pull them from again.
ctr --namespace k8s.io images import --local --snapshotter overlayfs --discard-unpacked-layers \
	--label io.cri-containerd.pinned=pinned --label io.cri-containerd.image=managed -
ctr --namespace k8s.io images list
# A collection that is waited for: layers as archives are not needed any more.
ctr --namespace k8s.io content prune references > /dev/null
kill $daemon
wait $daemon || true

mkdir -p /kind/layers /var/lib/containerd
for dir in "$snapshots"/*; do
	layer=/kind/layers/${dir##*/}
	cp -a "$dir/fs" "$layer"
	rm -rf "$dir/fs"
	ln -s "$layer" "$dir/fs"
done
for part in content.v1.content metadata.v1.bolt snapshotter.v1.overlayfs; do
	cp -a "$root/io.containerd.$part" /var/lib/containerd/
done

set -- /kind/layers/*/usr/local/bin/kubernetes
[ $# -eq 1 ] && [ -x "$1" ]
for name in kubelet kubeadm kubectl; do ln -s "$1" /usr/bin/$name; done
kubeadm version -o short

trap - EXIT
du -sh /var /kind /usr
rm -rf /tmp/* /run/* /labctl-build
