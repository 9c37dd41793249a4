{{- define "readapt.name" -}}
{{- printf "%s" .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "readapt.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "readapt.labels" -}}
{{ include "readapt.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "readapt.image" -}}
{{- .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- define "readapt.dataClaim" -}}
{{- .Values.data.existingClaim | default (printf "%s-data" (include "readapt.name" .)) -}}
{{- end }}

{{/* Settings of every pod: no process is root, or writes anywhere but to its volumes. */}}
{{- define "readapt.pod" -}}
automountServiceAccountToken: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: { type: RuntimeDefault }
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "readapt.container" -}}
imagePullPolicy: {{ .Values.images.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
{{- end }}

{{- define "readapt.database" -}}
- name: DATABASE_URL
  valueFrom:
    secretKeyRef:
      {{- $unset := "database.existingSecret is not set: name the secret that holds DATABASE_URL" }}
      name: {{ required $unset .Values.database.existingSecret }}
      key: {{ .Values.database.key }}
{{- end }}

{{/* Variable from a secret, if one is named: (dict "name" VARIABLE "from" VALUES). */}}
{{- define "readapt.secret" -}}
{{- if .from.existingSecret }}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ .from.existingSecret }}
      key: {{ .from.key }}
{{- end }}
{{- end }}

{{/* Secrets with which APIs and workers read private models; the secret key encrypts the tokens of versions. */}}
{{- define "readapt.sources" -}}
{{- include "readapt.secret" (dict "name" "READAPT_SECRET_KEY" "from" .Values.secretKey) }}
{{- include "readapt.secret" (dict "name" "READAPT_HUB_TOKEN" "from" .Values.hubToken) }}
{{- end }}

{{- define "readapt.environment" -}}
{{ include "readapt.database" . }}
- name: REDIS_URL
  valueFrom:
    secretKeyRef:
      {{- $unset := "redis.existingSecret is not set: name the secret that holds REDIS_URL" }}
      name: {{ required $unset .Values.redis.existingSecret }}
      key: {{ .Values.redis.key }}
- name: READAPT_DATA_DIR
  value: /var/lib/readapt
- name: READAPT_GRAPH_CACHE
  value: /var/lib/readapt/graphs
- name: READAPT_ARTIFACT_CACHE_DIR
  value: /var/cache/readapt
- name: READAPT_BASE_CACHE_DIR
  value: /var/cache/bases
{{- if .Values.models.existingClaim }}
- name: READAPT_ALLOWED_ROOTS
  value: {{ .Values.models.mountPath | quote }}
{{- end }}
- name: READAPT_HOST
  value: 0.0.0.0
{{- range $name, $value := .Values.settings }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{/* Variables of the AWS SDK, for artifacts in a bucket. */}}
{{- define "readapt.environmentFrom" -}}
{{- with .Values.artifacts.existingSecret }}
envFrom:
  - secretRef: { name: {{ . }} }
{{- end }}
{{- end }}

{{- define "readapt.mounts" -}}
- name: data
  mountPath: /var/lib/readapt
{{- if .Values.models.existingClaim }}
- name: models
  mountPath: {{ .Values.models.mountPath }}
  readOnly: true
{{- end }}
- name: artifact-cache
  mountPath: /var/cache/readapt
- name: base-cache
  mountPath: /var/cache/bases
- name: tmp
  mountPath: /tmp
{{- end }}

{{- define "readapt.volumes" -}}
- name: data
  persistentVolumeClaim:
    claimName: {{ include "readapt.dataClaim" . }}
{{- with .Values.models.existingClaim }}
- name: models
  persistentVolumeClaim:
    claimName: {{ . }}
    readOnly: true
{{- end }}
- name: artifact-cache
  emptyDir: {}
- name: base-cache
  {{- toYaml (.Values.baseCache.volume | default (dict "emptyDir" dict)) | nindent 2 }}
- name: tmp
  emptyDir: {}
{{- end }}

{{- define "readapt.placement" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
