{{/* Flags of runs, the service and workers. Arguments: root, component. */}}
{{- define "image-syncer.args" -}}
{{- $values := .root.Values }}
{{- $state := "/var/lib/image-syncer" }}
{{- if eq .component "service" }}
- serve
{{- else if eq .component "worker" }}
- work
{{- end }}
- --config
- /etc/image-syncer/{{ $values.config.key }}
{{- if eq .component "service" }}
- --listen
- {{ printf "%s:8080" $values.service.listen | quote }}
- --state
- {{ $state }}
- --records
- {{ $state }}/records.sqlite3
{{- if $values.service.syncAtStart }}
- --sync-at-start
{{- end }}
{{- if not $values.service.page }}
- --no-page
{{- end }}
{{- else if eq .component "shard" }}
- --shard
- auto/{{ $values.indexed.shards }}
{{- if $values.persistence.enabled }}
- --report
- {{ $state }}/shard-$(JOB_COMPLETION_INDEX).json
{{- end }}
- --no-records
{{- else if and (eq .component "run") $values.persistence.enabled }}
- --records
- {{ $state }}/records.sqlite3
- --report
- {{ $state }}/report.json
{{- else }}
- --no-records
{{- end }}
{{- with $values.share.timeout }}
- --share-timeout
- {{ int64 . | quote }}
{{- end }}
- --log-format
- {{ $values.logFormat }}
- --grace
- {{ $values.grace | quote }}
{{- range $values.args }}
- {{ . | quote }}
{{- end }}
{{- end }}

{{/* Variables of the container. */}}
{{- define "image-syncer.env" -}}
{{- with .Values.logins.dockerConfigSecret }}
- name: DOCKER_CONFIG
  value: /run/secrets/docker
{{- end }}
{{- with .Values.share }}
{{- if .url }}
- name: IMAGE_SYNCER_SHARE
  value: {{ .url | quote }}
{{- if .existingSecret }}
- name: PGPASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ .existingSecret }}
      key: {{ .key }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.env }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Volume of the state, unless the set has a claim for each pod. Arguments: root, component. */}}
{{- define "image-syncer.stateVolume" -}}
{{- $persistence := .root.Values.persistence }}
{{- if eq .component "service" }}
{{- if not $persistence.enabled }}
- name: state
  emptyDir: {}
{{- else if $persistence.existingClaim }}
- name: state
  persistentVolumeClaim:
    claimName: {{ $persistence.existingClaim }}
{{- end }}
{{- else if and $persistence.enabled (ne .component "worker") }}
- name: state
  persistentVolumeClaim:
    claimName: {{ include "image-syncer.claimName" .root }}
{{- end }}
{{- end }}

{{- define "image-syncer.volumes" -}}
{{- $values := .root.Values }}
- name: rules
  {{- if $values.config.existingSecret }}
  secret:
    secretName: {{ $values.config.existingSecret }}
    defaultMode: 0440
  {{- else }}
  configMap:
    name: {{ default (include "image-syncer.fullname" .root) $values.config.existingConfigMap }}
  {{- end }}
{{- with $values.logins.existingSecret }}
- name: logins
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- with $values.logins.dockerConfigSecret }}
- name: docker
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items:
      - key: .dockerconfigjson
        path: config.json
{{- end }}
{{- include "image-syncer.stateVolume" . }}
- name: tmp
  emptyDir: {}
{{- with $values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "image-syncer.volumeMounts" -}}
{{- $values := .root.Values }}
- name: rules
  mountPath: /etc/image-syncer
  readOnly: true
{{- if $values.logins.existingSecret }}
- name: logins
  mountPath: /run/secrets/image-syncer
  readOnly: true
{{- end }}
{{- if $values.logins.dockerConfigSecret }}
- name: docker
  mountPath: /run/secrets/docker
  readOnly: true
{{- end }}
{{- if or (eq .component "service") (and $values.persistence.enabled (ne .component "worker")) }}
- name: state
  mountPath: /var/lib/image-syncer
{{- end }}
- name: tmp
  mountPath: /tmp
{{- with $values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "image-syncer.probes" -}}
{{- $scheme := .Values.service.scheme }}
{{- range $probe, $settings := dict
    "startupProbe" (dict "path" "/readyz" "periodSeconds" 2 "failureThreshold" 30)
    "readinessProbe" (dict "path" "/readyz" "periodSeconds" 10 "failureThreshold" 3)
    "livenessProbe" (dict "path" "/healthz" "periodSeconds" 30 "failureThreshold" 3) }}
{{ $probe }}:
  httpGet:
    path: {{ $settings.path }}
    port: http
    scheme: {{ $scheme }}
  periodSeconds: {{ $settings.periodSeconds }}
  failureThreshold: {{ $settings.failureThreshold }}
{{- end }}
{{- end }}

{{- define "image-syncer.spread" -}}
{{- if .root.Values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml .root.Values.topologySpreadConstraints | nindent 2 }}
{{- else if eq .component "shard" }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "image-syncer.selector" . | nindent 8 }}
{{- end }}
{{- end }}

{{/* The template of pods. Arguments: root, component (run, shard, service or worker). */}}
{{- define "image-syncer.podTemplate" -}}
{{- $values := .root.Values }}
metadata:
  labels:
    {{- include "image-syncer.selector" . | nindent 4 }}
    {{- with $values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- $annotations := deepCopy $values.podAnnotations }}
  {{- if and (eq .component "worker") (or $values.config.content $values.config.text) }}
  {{- /* All workers of a run have the same rules, so they start again with changed ones. */}}
  {{- $_ := set $annotations "checksum/config" (include "image-syncer.content" .root | sha256sum) }}
  {{- end }}
  {{- with $annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- if has .component (list "run" "shard") }}
  restartPolicy: Never
  {{- end }}
  terminationGracePeriodSeconds: {{ add $values.grace 15 }}
  serviceAccountName: {{ include "image-syncer.serviceAccountName" .root }}
  automountServiceAccountToken: false
  {{- with $values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    {{- range $key, $id := $values.podSecurity }}
    {{- if not (kindIs "invalid" $id) }}
    {{ $key }}: {{ int64 $id }}
    {{- end }}
    {{- end }}
    seccompProfile:
      type: RuntimeDefault
  {{- with include "image-syncer.spread" . | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with $values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: image-syncer
      image: {{ include "image-syncer.image" .root | quote }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      args:
        {{- include "image-syncer.args" . | trim | nindent 8 }}
      {{- with include "image-syncer.env" .root | trim }}
      env:
        {{- . | nindent 8 }}
      {{- end }}
      {{- with $values.envFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- if eq .component "service" }}
      ports:
        - name: http
          containerPort: 8080
      {{- include "image-syncer.probes" .root | trim | nindent 6 }}
      {{- end }}
      resources:
        {{- toYaml $values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      volumeMounts:
        {{- include "image-syncer.volumeMounts" . | trim | nindent 8 }}
  volumes:
    {{- include "image-syncer.volumes" . | trim | nindent 4 }}
{{- end }}

{{/* A Job that does not repeat wrong files. Arguments: root, component. */}}
{{- define "image-syncer.job" -}}
{{- $job := .root.Values.job }}
{{- if eq .component "shard" }}
completionMode: Indexed
completions: {{ .root.Values.indexed.shards }}
parallelism: {{ .root.Values.indexed.shards }}
backoffLimitPerIndex: {{ .root.Values.indexed.backoffLimitPerIndex }}
maxFailedIndexes: {{ .root.Values.indexed.shards }}
{{- else }}
backoffLimit: {{ $job.backoffLimit }}
{{- end }}
{{- if not (kindIs "invalid" $job.activeDeadlineSeconds) }}
activeDeadlineSeconds: {{ int64 $job.activeDeadlineSeconds }}
{{- end }}
ttlSecondsAfterFinished: {{ int64 $job.ttlSecondsAfterFinished }}
podFailurePolicy:
  rules:
    # 2: a file or flag is wrong; another try fails as well.
    - action: {{ ternary "FailIndex" "FailJob" (eq .component "shard") }}
      onExitCodes:
        containerName: image-syncer
        operator: In
        values: [2]
    # A drained node is no failure of the run.
    - action: Ignore
      onPodConditions:
        - type: DisruptionTarget
          status: "True"
template:
  {{- include "image-syncer.podTemplate" . | trim | nindent 2 }}
{{- end }}
