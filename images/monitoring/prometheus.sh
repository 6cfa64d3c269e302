#!/bin/sh
# Runs Prometheus on what a lab mounts:
#
#   /etc/prometheus/config/prometheus.yml   its configuration
#   /etc/prometheus/rules/NAME/             the rule files of ConfigMap NAME; the configuration reads them below /run/prometheus/rules
#   /etc/prometheus/consoles/               console pages of the lab, served at /consoles/
#
# All of /etc/prometheus can be read at /user/, so that one sees what has arrived in the container.
#
# Prometheus does not start on a rule file that it can't read. So a ConfigMap with such a file is left out of the start, and
# the first reload after it, with all of them, is refused by Prometheus itself: its log and its metric
# prometheus_config_last_reload_successful say so until the file is right and somebody reloads.
set -u
mounted=/etc/prometheus/rules
rules=/run/prometheus/rules
rm -rf "$rules"
mkdir -p "$rules"

left_out=
for folder in "$mounted"/*; do
  [ -d "$folder" ] || continue
  name=$(basename "$folder")
  good=true
  for file in "$folder"/*.yaml "$folder"/*.yml; do
    [ -e "$file" ] || continue
    if ! said=$(promtool check rules "$file" 2>&1); then
      good=false
      echo "rules: ConfigMap $name is left out of the start:"
      echo "$said" | sed "/^ *$/d; /^Checking/d; /FAILED/d; s|$mounted/||; s/^ */rules:   /"
    fi
  done
  if $good; then
    ln -s "$folder" "$rules/$name"
  else
    left_out="$left_out $name"
  fi
done

if [ -n "$left_out" ]; then
  {
    until promtool query instant http://127.0.0.1:9090 'vector(1)' > /dev/null 2>&1; do sleep 1; done
    for name in $left_out; do ln -s "$mounted/$name" "$rules/$name"; done
    kill -HUP $$
  } &
fi
# An alert that comes while Alertmanager reloads reaches nobody before it is sent again, a minute later by default. It ends four such
# delays after Prometheus was last heard of.
exec prometheus \
  --config.file=/etc/prometheus/config/prometheus.yml \
  --storage.tsdb.path=/data \
  --storage.tsdb.retention.time=24h \
  --storage.tsdb.retention.size=256MB \
  --rules.alert.resend-delay=15s \
  --web.listen-address=:9090 \
  --web.enable-lifecycle \
  --web.user-assets=/etc/prometheus \
  --web.console.templates=/etc/prometheus/consoles \
  --web.console.libraries=/usr/share/monitoring/console_libraries \
  "$@"
