#!/bin/sh
# Renews go.mod.txt and go.sum.txt of the given module directories (default: all modules below images/).
# To take a new version, change it in go.mod.txt first. Usage: images/node/lock.sh [directory...]
set -eu
images=$(cd "$(dirname "$0")/.." && pwd)
[ $# -gt 0 ] || set -- "$images"/node/components/*/ "$images"/*/gomod/
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
for dir; do
	[ -f "$dir/go.mod.txt" ] || continue
	echo "$dir" >&2
	rm -rf "$tmp/m" && mkdir "$tmp/m"
	for f in "$dir"/*.txt; do cp "$f" "$tmp/m/$(basename "$f" .txt)"; done
	(cd "$tmp/m" && GOWORK=off GOFLAGS= go mod tidy)
	cp "$tmp/m/go.mod" "$dir/go.mod.txt"
	if [ -f "$tmp/m/go.sum" ]; then cp "$tmp/m/go.sum" "$dir/go.sum.txt"; fi
done
