{{/* The routes made from the values. Takes the root. */}}
{{- define "gateway.routes" -}}
# The routes of this lab. What HAProxy does not take is refused, see the log of the gateway.
global
  log stdout format raw local0 info
  # A request that is to be repeated must fit into a buffer: here, some 500 rows.
  tune.bufsize 65536

defaults
  mode http
  log global
  option httplog
  option dontlognull
  # Each request gets a connection of its own, so that a Service spreads them over all its pods.
  option http-server-close
  # A pod that goes away may leave a request without an answer: that one is sent again, which needs all of it at hand.
  option http-buffer-request
  retries 2
  retry-on conn-failure empty-response
  option redispatch
  timeout connect 2s
  timeout client 30s
  timeout server 30s
  timeout http-request 10s
  timeout http-keep-alive 10s
  # A name without an address is no mistake: its server waits until there is one.
  default-server check inter 1s fall 2 rise 1 init-addr libc,none

frontend http
  bind :8080
  monitor-uri /healthz
  use_backend canary if { req.hdr(x-canary) -i always }
  default_backend split

frontend metrics
  bind :8405
  http-request set-log-level silent
  http-request use-service prometheus-exporter if { path /metrics }
  http-request return status 200 content-type text/plain file "${GATEWAY_FILE}" if { path /config }
  http-request deny

backend split
  balance roundrobin
  option httpchk GET /v2/models/{{ .Values.model }}/ready
  http-after-response set-header x-backend %s
  server stable "{{ .Values.stable.service }}.${POD_NAMESPACE}.svc.cluster.local:{{ .Values.stable.port }}" weight {{ .Values.stable.weight }}
  server canary "{{ .Values.canary.service }}.${POD_NAMESPACE}.svc.cluster.local:{{ .Values.canary.port }}" weight {{ .Values.canary.weight }}

backend canary
  option httpchk GET /v2/models/{{ .Values.model }}/ready
  http-after-response set-header x-backend %s
  server canary "{{ .Values.canary.service }}.${POD_NAMESPACE}.svc.cluster.local:{{ .Values.canary.port }}"
{{ end -}}
