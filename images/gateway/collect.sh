#!/bin/sh
# Collects what the image adds to its base below a root directory: HAProxy, its libraries and its licence: `collect.sh ROOT`.
set -eu
root=$1
mkdir -p "$root/usr/sbin" "$root/usr/share/doc/haproxy"
cp /usr/sbin/haproxy "$root/usr/sbin/"
cp /usr/share/doc/haproxy/copyright "$root/usr/share/doc/haproxy/"

# Shared libraries that the base image does not have.
ldd /usr/sbin/haproxy | awk '$2 == "=>" && $3 ~ "^/" { print $3 }' | sort -u > /tmp/needed
while read -r library; do
  grep -qxF "$library" /tmp/base-libraries && continue
  mkdir -p "$root/usr/lib/$(basename "$(dirname "$library")")"
  cp "$library" "$root/usr/lib/$(basename "$(dirname "$library")")/"
done < /tmp/needed
