{{/* Name of every object of a component. It is the same in each lab, so that briefs and checks can name it. */}}
{{- define "common.fullname" -}}
{{- .Values.fullnameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Labels that select the pods of a component. They must never change. */}}
{{- define "common.selectorLabels" -}}
app: {{ include "common.fullname" . }}
{{- end -}}

{{/* Labels of a pod: no chart version here, because a new one would restart the pod. */}}
{{- define "common.podLabels" -}}
{{ include "common.selectorLabels" . }}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: {{ .Release.Name }}
{{- end -}}

{{/* Labels of every other object. */}}
{{- define "common.labels" -}}
{{ include "common.podLabels" . }}
{{- with .Chart.AppVersion }}
app.kubernetes.io/version: {{ . | quote }}
{{- end }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}
