#!/bin/sh
# Prints a tar of what kube-proxy needs beside itself: iptables, nft, conntrack and all they load.
set -eu
out=$(mktemp)
trap 'rm -f "$out"' EXIT
cd /usr/sbin
programs="xtables-nft-multi xtables-legacy-multi nft conntrack"
# The modules of iptables have needs of their own: without libm a Service with two endpoints has no rules.
libraries=$(for f in $programs /usr/lib/*/xtables/*.so; do ldd "$f" | grep -o '/[^ ]*\.so[^ ]*'; done | sort -u)
# shellcheck disable=SC2086
tar --create --dereference --sort=name --file="$out" $libraries /usr/lib/*/xtables
# shellcheck disable=SC2086
tar --append --sort=name --file="$out" $(realpath -s $programs iptables* ip6tables*) /etc/alternatives/ip*tables*
cat "$out"
