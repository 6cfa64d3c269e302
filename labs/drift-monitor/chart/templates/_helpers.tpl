{{/* Labels of the objects that belong to the lab itself. */}}
{{- define "lab.labels" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* Pod template of the seed. It stands alone so that the name of the Job can carry its hash. */}}
{{- define "seed.template" -}}
metadata:
  labels:
    app: seed
    app.kubernetes.io/name: seed
    app.kubernetes.io/instance: {{ .Release.Name }}
    app.kubernetes.io/part-of: {{ .Release.Name }}
spec:
  {{- include "common.podSpec" . | nindent 2 }}
  # The seed can be cut off at any point: the next one goes on.
  terminationGracePeriodSeconds: 2
  restartPolicy: OnFailure
  containers:
    - name: seed
      {{- include "common.image" (dict "root" . "name" "drift-monitor-seed") | nindent 6 }}
      securityContext:
        {{- include "common.containerSecurityContext" . | nindent 8 }}
      env:
        {{- include "common.envDatabase" .Values.seed.database | nindent 8 }}
        {{- include "common.envObjectStore" .Values.seed.objectStore | nindent 8 }}
      resources:
        {{- toYaml .Values.seed.resources | nindent 8 }}
      volumeMounts:
        - name: tmp
          mountPath: /tmp
  volumes:
    - name: tmp
      emptyDir: {}
{{- end -}}
