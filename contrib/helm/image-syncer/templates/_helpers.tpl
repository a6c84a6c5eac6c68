{{- define "image-syncer.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* At most 40 characters, as names of pods append to it. */}}
{{- define "image-syncer.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- $name := include "image-syncer.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{/* Labels of one component. Arguments: root, component. */}}
{{- define "image-syncer.selector" -}}
app.kubernetes.io/name: {{ include "image-syncer.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "image-syncer.labels" -}}
{{ include "image-syncer.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "image-syncer.image" -}}
{{- with .Values.image }}
{{- if .digest }}
{{- printf "%s@%s" .repository .digest }}
{{- else }}
{{- printf "%s:%s" .repository (default $.Chart.AppVersion .tag) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "image-syncer.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "image-syncer.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "image-syncer.claimName" -}}
{{- default (include "image-syncer.fullname" .) .Values.persistence.existingClaim }}
{{- end }}

{{- define "image-syncer.claim" -}}
accessModes:
{{- $default := ternary "ReadWriteMany" "ReadWriteOnce" (eq .Values.mode "indexed") }}
{{- toYaml (default (list $default) .Values.persistence.accessModes) | nindent 2 }}
{{- with .Values.persistence.storageClass }}
storageClassName: {{ . }}
{{- end }}
resources:
  requests:
    storage: {{ .Values.persistence.size }}
{{- end }}

{{/* The configuration file. A map has lost how its numbers were written; a text has not. */}}
{{- define "image-syncer.content" -}}
{{- if .Values.config.text }}
{{- .Values.config.text | trim }}
{{- else if hasSuffix ".json" .Values.config.key }}
{{- toPrettyJson .Values.config.content }}
{{- else }}
{{- toYaml .Values.config.content }}
{{- end }}
{{- end }}

{{/* What the schema cannot say, and messages that say it better. */}}
{{- define "image-syncer.check" -}}
{{- $config := .Values.config }}
{{- $sources := 0 }}
{{- range list $config.content $config.text $config.existingConfigMap $config.existingSecret }}
{{- if . }}{{ $sources = add1 $sources }}{{ end }}
{{- end }}
{{- if ne (int $sources) 1 }}
{{- fail "config: the configuration file is missing, or there are several: set one of content, text, existingConfigMap and existingSecret" }}
{{- end }}
{{- $content := fromYaml (include "image-syncer.content" .) }}
{{- range $host, $registry := default dict $content.registries }}
{{- range $login := list "login" "api-login" }}
{{- $value := get (default dict $registry) $login }}
{{- if kindIs "map" $value }}
{{- range $key := list "password" "token" "identity-token" }}
{{- $secret := get $value $key }}
{{- if and (kindIs "string" $secret) $secret (not (contains "${" $secret)) }}
{{- fail (printf "config: registries: %s: %s.%s is a text, which a ConfigMap does not hide: write {file: /run/secrets/image-syncer/KEY}, and name the Secret in logins.existingSecret" $host $login $key) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- if and (eq .Values.mode "service") (gt (int .Values.service.replicas) 1) }}
{{- if not .Values.share.url }}
{{- fail "service.replicas is more than 1: replicas share their runs over PostgreSQL: set share.url" }}
{{- end }}
{{- if .Values.persistence.existingClaim }}
{{- fail "service.replicas is more than 1: each replica has a history of its own: remove persistence.existingClaim" }}
{{- end }}
{{- end }}
{{- if and .Values.workers.enabled (not .Values.share.url) }}
{{- fail "workers.enabled: workers share runs over PostgreSQL: set share.url" }}
{{- end }}
{{- if and (eq .Values.mode "indexed") .Values.share.url }}
{{- fail "mode indexed: a shared run has no shards: remove share.url, or use the mode job with workers" }}
{{- end }}
{{- if ne .Values.mode "service" }}
{{- if or .Values.ingress.enabled .Values.serviceMonitor.enabled .Values.networkPolicy.enabled }}
{{- fail (printf "mode %s: ingress, serviceMonitor and networkPolicy belong to the mode service" .Values.mode) }}
{{- end }}
{{- end }}
{{- end }}
