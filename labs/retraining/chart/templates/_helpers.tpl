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
      {{- include "common.image" (dict "root" . "name" "retraining-seed") | nindent 6 }}
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


{{/* Labels of a Job's pods. Takes a dict: root, name. */}}
{{- define "job.labels" -}}
app: {{ .name }}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/part-of: {{ .root.Release.Name }}
{{- end -}}

{{/* What every program of the lab reads from its environment. Models and reports go through MLflow, which alone has keys of the object store. */}}
{{- define "lab.env" -}}
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: MLFLOW_TRACKING_URI
  value: {{ .Values.mlflowUrl | quote }}
# Who a run is made by; a uid without a name has none.
- name: USER
  value: retrain
- name: HOME
  value: /tmp
{{ include "common.envDatabase" .Values.jobs.database }}
{{- end -}}

{{/* Reference of the image that the lab's programs run in. */}}
{{- define "lab.programImage" -}}
{{- include "common.image" (dict "root" . "name" "workbench") | fromYaml | dig "image" "" -}}
{{- end -}}
