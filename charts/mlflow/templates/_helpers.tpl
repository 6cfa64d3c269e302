{{/* The Host headers the server accepts. The port counts, and a list replaces MLflow's own. */}}
{{- define "mlflow.allowedHosts" -}}
{{- $name := include "common.fullname" . -}}
{{- $namespace := .Release.Namespace -}}
{{- $own := list
    $name
    (printf "%s:5000" $name)
    (printf "%s.%s:5000" $name $namespace)
    (printf "%s.%s.svc:5000" $name $namespace)
    (printf "*.%s.svc.cluster.local:5000" $namespace)
    "localhost:*"
    "127.0.0.1:*" -}}
{{- concat $own .Values.allowedHosts | join "," -}}
{{- end -}}
