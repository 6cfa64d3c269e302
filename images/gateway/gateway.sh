#!/bin/sh
# Runs HAProxy, and reloads it without losing a request when its configuration or the address of a server changes.
#
#   GATEWAY_CONFIG   the configuration, a file of a ConfigMap; default /etc/gateway/haproxy.cfg
#   GATEWAY_RUN      a writable directory; default /run/gateway
#
# What runs is a copy that was checked. A configuration that HAProxy does not take is refused with the reason in the log,
# and the copy stays in force, also when the container starts again. The variable GATEWAY_FILE names the file that HAProxy
# reads, so that a configuration can show itself.
#
# HAProxy asks for the address of a server once, when it starts. Its own resolver (section "resolvers") is no help: in this
# version it takes a whole CPU for good after DNS was away for a moment. So this program asks now and then.
set -u
config=${GATEWAY_CONFIG:-/etc/gateway/haproxy.cfg}
run=${GATEWAY_RUN:-/run/gateway}
# How many turns of a second lie between two looks at the addresses.
look=${GATEWAY_LOOK:-5}
mkdir -p "$run/new"
touch "$run/addresses"

# Says whether the configuration is another than at the last look; one that is gone counts as empty.
changed() {
  cat "$config" > "$run/new/haproxy.cfg" 2> /dev/null
  ! cmp -s "$run/new/haproxy.cfg" "$run/seen"
}

# Says whether a server has another address than the one that HAProxy knows. A name without an answer keeps what it had.
moved() {
  awk '$1 == "server" { gsub(/"/, "", $3); sub(/:[0-9]+$/, "", $3); print $3 }' "$run/haproxy.cfg" |
    sed "s/\${POD_NAMESPACE}/${POD_NAMESPACE:-}/g" | sort -u |
    while read -r name; do
      # The dot at the end leaves the search domains out.
      case $name in *.svc.cluster.local) host=$name. ;; *) host=$name ;; esac
      address=$(getent ahosts "$host" | awk '{ print $1; exit }')
      if [ -n "$address" ]; then echo "$name $address"; else grep "^$name " "$run/addresses"; fi
    done > "$run/addresses.new"
  ! cmp -s "$run/addresses.new" "$run/addresses"
}

# Makes a configuration that HAProxy takes the copy that runs; says why where it does not take it.
take() {
  cp "$run/new/haproxy.cfg" "$run/seen"
  if GATEWAY_FILE=$run/new/haproxy.cfg haproxy -c -f "$run/new/haproxy.cfg" > "$run/reason" 2>&1; then
    mv "$run/new/haproxy.cfg" "$run/haproxy.cfg"
    moved
    sed -n "s/.*could not resolve address '\([^']*\)'.*/\1/p" "$run/reason" | sort -u > "$run/unknown"
    while read -r name; do echo "gateway: $name has no address yet"; done < "$run/unknown"
    # HAProxy does not know these, whatever was found since: the next look finds them again.
    while read -r name address; do
      grep -qxF "$name" "$run/unknown" || echo "$name $address"
    done < "$run/addresses.new" > "$run/addresses"
    return 0
  fi
  echo "gateway: refused the new configuration, nothing changes:"
  sed -E "/^\[NOTICE\]/d; s/^(\[[A-Z]+\]) *\([0-9]+\) :/\1/; s|$run/new/||g; s/^/gateway:   /" "$run/reason"
  return 1
}

changed
if ! take && [ ! -s "$run/haproxy.cfg" ]; then
  echo "gateway: there is no other configuration to start with"
  exit 1
fi
GATEWAY_FILE=$run/haproxy.cfg haproxy -W -db -f "$run/haproxy.cfg" &
pid=$!
# Requests under way are finished.
trap 'kill -USR1 "$pid"' TERM INT
turn=0
while kill -0 "$pid" 2> /dev/null; do
  sleep 1 &
  wait $!
  turn=$((turn + 1))
  if changed; then
    take && kill -USR2 "$pid" && echo "gateway: reloaded, the new configuration is in force"
  elif [ $((turn % look)) -eq 0 ] && moved; then
    # The copy, since what the ConfigMap holds may have been refused.
    cp "$run/haproxy.cfg" "$run/new/haproxy.cfg"
    cp "$run/seen" "$run/kept"
    take && kill -USR2 "$pid" && echo "gateway: reloaded, a server has another address"
    cp "$run/kept" "$run/seen"
  fi
done
wait "$pid"
