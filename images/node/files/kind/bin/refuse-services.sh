#!/bin/sh
# After a restart pods run before kube-proxy has written its rules. A packet to a Service would then leave the node, and its
# connection hang for half a minute even when the rules come a second later. Refused, the pod tries again at once.
set -eu
cidr=$(sed -n 's/^ *serviceSubnet: *"\{0,1\}\([0-9][0-9./]*\).*/\1/p' /kind/kubeadm.conf 2>/dev/null | head -n 1)
set -- FORWARD -d "${cidr:-10.96.0.0/16}" -j REJECT
iptables -w -C "$@" 2>/dev/null || iptables -w -A "$@"
