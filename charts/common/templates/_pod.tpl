{{/*
Pod settings that meet the Pod Security Standard "restricted". Service links are off, because they would set
variables such as POSTGRES_PORT=tcp://..., which programs take for their own.
*/}}
{{- define "common.podSpec" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- /* In the first seconds of a cluster DNS does not answer yet, and a resolver waits five seconds for each lost question. */}}
dnsConfig:
  options:
    - {name: timeout, value: "1"}
    - {name: attempts, value: "2"}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{/* The security context of every container. */}}
{{- define "common.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop:
    - ALL
{{- end -}}

{{/*
Image of a container: a full reference from global.images, so that one place decides where images come from.
Usage: include "common.image" (dict "root" . "name" "postgres")
*/}}
{{- define "common.image" -}}
{{- $images := (.root.Values.global).images | default dict -}}
{{- $reference := get $images .name -}}
{{- if not $reference -}}
{{- fail (printf "no image for %q: set global.images.%s to a full reference, for example registry.example.org/%s:1.0 (labctl does this by itself)" .name .name .name) -}}
{{- end -}}
image: {{ $reference | quote }}
imagePullPolicy: IfNotPresent
{{- end -}}

{{/*
The token of the pod's ServiceAccount, where a pod needs the API: common.podSpec leaves it out, so that a pod which does
not say so has none. It is what Kubernetes itself would mount.
*/}}
{{- define "common.tokenVolume" -}}
- name: token
  projected:
    defaultMode: 0444
    sources:
      - serviceAccountToken:
          path: token
          expirationSeconds: 3607
      - configMap:
          name: kube-root-ca.crt
          items:
            - {key: ca.crt, path: ca.crt}
      - downwardAPI:
          items:
            - path: namespace
              fieldRef:
                fieldPath: metadata.namespace
{{- end -}}

{{- define "common.tokenMount" -}}
- name: token
  mountPath: /var/run/secrets/kubernetes.io/serviceaccount
  readOnly: true
{{- end -}}
