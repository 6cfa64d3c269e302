{{/* The context of one of the programs, so that the templates of the common chart give its name. Takes a list: root, name. */}}
{{- define "monitoring.as" -}}
{{- $root := index . 0 -}}
{{- $chart := dict "Name" $root.Chart.Name "Version" $root.Chart.Version "AppVersion" $root.Chart.AppVersion -}}
{{- dict "Values" (dict "fullnameOverride" (index . 1)) "Chart" $chart "Release" $root.Release | toJson -}}
{{- end -}}

{{/*
A program as a Deployment and a Service. What it keeps is gone with its pod: a lab begins with nothing, and Prometheus fetches anew.
Takes a dict: root, name, image, command, port, ready (path), values, mounts, volumes, env.
*/}}
{{- define "monitoring.program" -}}
{{- $as := include "monitoring.as" (list .root .name) | fromJson -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}
  labels:
    {{- include "common.labels" $as | nindent 4 }}
spec:
  selector:
    {{- include "common.selectorLabels" $as | nindent 4 }}
  ports:
    - name: http
      port: {{ .port }}
      targetPort: http
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .name }}
  labels:
    {{- include "common.labels" $as | nindent 4 }}
  annotations:
    # What it has seen belongs to the lab before the reset.
    labctl.dev/restart-on-reset: "true"
spec:
  replicas: 1
  # Two at once would tell of every alert twice.
  strategy:
    type: Recreate
  selector:
    matchLabels:
      {{- include "common.selectorLabels" $as | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "common.podLabels" $as | nindent 8 }}
    spec:
      {{- include "common.podSpec" $as | nindent 6 }}
      terminationGracePeriodSeconds: 5
      containers:
        - name: {{ .name }}
          {{- include "common.image" (dict "root" .root "name" .image) | nindent 10 }}
          command: {{ toJson .command }}
          securityContext:
            {{- include "common.containerSecurityContext" $as | nindent 12 }}
          env:
            # Tools of the image look for a configuration there.
            - name: HOME
              value: /tmp
            {{- with .env }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          ports:
            - name: http
              containerPort: {{ .port }}
          startupProbe:
            httpGet: &ready
              path: {{ .ready }}
              port: http
            periodSeconds: 1
            timeoutSeconds: 3
            failureThreshold: 120
          readinessProbe:
            httpGet: *ready
            periodSeconds: 5
            timeoutSeconds: 3
          resources:
            {{- toYaml .values.resources | nindent 12 }}
          volumeMounts:
            - name: data
              mountPath: /data
            - name: tmp
              mountPath: /tmp
            {{- with .mounts }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
      volumes:
        - name: data
          emptyDir: {}
        - name: tmp
          emptyDir: {}
        {{- with .volumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
{{- end -}}
