{{/*
A value of a Secret, base64-encoded: the given one, else the one that the cluster already has, else a new random one.
Without the second step an upgrade would change the password of a running database.
Usage: include "common.secretValue" (dict "root" . "secret" NAME "key" KEY "value" GIVEN)
*/}}
{{- define "common.secretValue" -}}
{{- $found := lookup "v1" "Secret" .root.Release.Namespace .secret | default dict -}}
{{- $old := dig "data" .key "" $found -}}
{{- if .value -}}
{{- .value | b64enc -}}
{{- else if $old -}}
{{- $old -}}
{{- else -}}
{{- randAlphaNum 24 | b64enc -}}
{{- end -}}
{{- end -}}

{{/*
An environment variable from a Secret.
Usage: include "common.envSecret" (dict "name" ENV "secret" NAME "key" KEY)
*/}}
{{- define "common.envSecret" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret }}
      key: {{ .key }}
{{- end -}}

{{/* The connection to the object store, as every S3 client reads it. Takes the objectStore values. */}}
{{- define "common.envObjectStore" -}}
- name: AWS_ENDPOINT_URL
  value: {{ .endpoint | quote }}
{{ include "common.envSecret" (dict "name" "AWS_ACCESS_KEY_ID" "secret" .secret "key" "access-key") }}
{{ include "common.envSecret" (dict "name" "AWS_SECRET_ACCESS_KEY" "secret" .secret "key" "secret-key") }}
{{- end -}}

{{/* The connection to PostgreSQL, as libpq reads it. Takes the database values. */}}
{{- define "common.envDatabase" -}}
- name: PGHOST
  value: {{ .host | quote }}
- name: PGPORT
  value: {{ .port | quote }}
- name: PGUSER
  value: {{ .user | quote }}
- name: PGDATABASE
  value: {{ .name | quote }}
{{ include "common.envSecret" (dict "name" "PGPASSWORD" "secret" .secret "key" "password") }}
{{- end -}}
