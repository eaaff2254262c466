{{- define "speech.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 63 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "speech.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "speech.labels" -}}
{{ include "speech.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "speech.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* Environment of both containers. Values fixed by the chart take precedence; DEVICE has a default
with gpus, all of them. Numbers of a values file are floats, which toString would write as 2e+07. */}}
{{- define "speech.environment" -}}
{{- $fixed := dict "HOST" "0.0.0.0" "PORT" "9091" "SHUTDOWN_GRACE_S" (.Values.shutdownGraceS | int | toString) }}
{{- if .Values.engine.urls }}{{ $_ := set $fixed "ENGINE_URLS" (join "," .Values.engine.urls) }}{{ end }}
{{- if not .Values.gpus }}{{ $_ := set $fixed "DEVICE" "cpu" }}{{ end }}
{{- $devices := list }}
{{- range $number := until (int .Values.gpus) }}{{ $devices = append $devices (printf "cuda:%d" $number) }}{{ end }}
{{- range $name, $value := merge $fixed .Values.settings .Values.environment (dict "DEVICE" (join "," $devices)) }}
- name: {{ $name }}
  value: {{ ternary $value (toJson $value) (kindIs "string" $value) | quote }}
{{- end }}
{{- end }}

{{/* Scaling behaviour: removes one pod per minute after scaleDownS of lower load. */}}
{{- define "speech.scaling" -}}
scaleDown:
  stabilizationWindowSeconds: {{ .Values.autoscaling.scaleDownS }}
  policies:
    - {type: Pods, value: 1, periodSeconds: 60}
{{- end }}

{{- define "speech.volumeMounts" -}}
- name: cache
  mountPath: /var/cache/huggingface
- name: scratch
  mountPath: /tmp
{{- end }}

{{/* Argument: true for a read-only root file system. It is writable for a container with a GPU,
because NVIDIA's container hooks write to it (kserve/kserve#5711). */}}
{{- define "speech.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: {{ . }}
capabilities:
  drop: [ALL]
{{- end }}
