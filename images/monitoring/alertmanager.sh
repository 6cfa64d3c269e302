#!/bin/sh
# Runs Alertmanager on /etc/alertmanager/alertmanager.yml, which a lab mounts.
#
# Alertmanager does not start on a configuration that it can't read. So it starts with one that tells nobody, and the first
# reload, with the lab's, is refused by Alertmanager itself: its log and its metric alertmanager_config_last_reload_successful
# say so until the configuration is right and somebody reloads.
set -u
mounted=/etc/alertmanager/alertmanager.yml
config=/run/alertmanager/alertmanager.yml
mkdir -p /run/alertmanager

if said=$(amtool check-config "$mounted" 2>&1); then
  ln -sf "$mounted" "$config"
else
  echo "routes: the configuration is left out of the start, nobody is told of alerts:"
  echo "$said" | sed "/^ *$/d; /^Checking/d; s/^ */routes:   /"
  ln -sf /usr/share/monitoring/none.yml "$config"
  {
    until amtool --alertmanager.url=http://127.0.0.1:9093 alert query > /dev/null 2>&1; do sleep 1; done
    ln -sf "$mounted" "$config"
    kill -HUP $$
  } &
fi
exec prometheus-alertmanager \
  --config.file="$config" \
  --storage.path=/data \
  --cluster.listen-address= \
  --web.listen-address=:9093 \
  "$@"
