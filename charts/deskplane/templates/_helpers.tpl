{{/* Names, labels and the image. */}}

{{- define "deskplane.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 40 characters: the longest name made from it has 23 more. */}}
{{- define "deskplane.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $release := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $release .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "deskplane.instanceLabels" -}}
app.kubernetes.io/name: {{ include "deskplane.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Of one component's pods, and of no others. Takes root and component. */}}
{{- define "deskplane.selectorLabels" -}}
{{ include "deskplane.instanceLabels" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "deskplane.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "deskplane.instanceLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: deskplane
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "deskplane.serviceAccountName" -}}
{{- default (ternary (include "deskplane.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name -}}
{{- end -}}

{{/* The user the admission policies take for the controller. */}}
{{- define "deskplane.controllerUser" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "deskplane.serviceAccountName" . }}
{{- end -}}

{{- define "deskplane.claimName" -}}
{{- default (printf "%s-data" (include "deskplane.fullname" .)) .Values.database.sqlite.existingClaim -}}
{{- end -}}

{{- define "deskplane.image" -}}
{{- $tag := default .Chart.AppVersion .Values.image.tag -}}
{{- .Values.image.repository -}}
{{- with .Values.image.digest -}}@{{ . }}{{- else -}}:{{ $tag }}{{- end -}}
{{- end -}}

{{/* What a namespace that enforces the Pod Security Standard `restricted` asks for. */}}
{{- define "deskplane.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "deskplane.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Whether the controller has a store of its own in a file. A file has one writer. */}}
{{- define "deskplane.onFile" -}}
{{- if .Values.database.none -}}
{{- if .Values.database.postgres.secretName -}}
{{- fail "database.none: database.postgres.secretName names a database. Set one of the two." -}}
{{- else if not .Values.controller.ownerId -}}
{{- fail "database.none: set controller.ownerId too: an account server tells by it whose rows are whose." -}}
{{- end -}}
{{- else if not .Values.database.postgres.secretName -}}
{{- if gt (int .Values.controller.replicas) 1 -}}
{{- fail "controller.replicas: an SQLite file has one writer. Set it to 1, or name a database with database.postgres.secretName." -}}
{{- end -}}
true
{{- end -}}
{{- end -}}

{{- define "deskplane.server.name" -}}
{{- include "deskplane.fullname" . }}-server
{{- end -}}

{{- define "deskplane.server.serviceAccountName" -}}
{{- $account := .Values.server.serviceAccount -}}
{{- default (ternary (include "deskplane.server.name" .) "default" $account.create) $account.name -}}
{{- end -}}

{{/* The volume claim of the account server's file; empty: there is no server, or it is on PostgreSQL. A file has one writer. */}}
{{- define "deskplane.server.claimName" -}}
{{- if and .Values.server.enabled (not .Values.server.database.postgres.secretName) -}}
{{- $claim := default (printf "%s-data" (include "deskplane.server.name" .)) .Values.server.database.sqlite.existingClaim -}}
{{- if gt (int .Values.server.replicas) 1 -}}
{{- fail "server.replicas: an SQLite file has one writer. Set it to 1, or name a database with server.database.postgres.secretName." -}}
{{- else if and (include "deskplane.onFile" .) (eq $claim (include "deskplane.claimName" .)) -}}
{{- fail "server.database.sqlite.existingClaim: it has the controller's file, and a file has one writer. Set database.none, or name another claim." -}}
{{- end -}}
{{- $claim -}}
{{- end -}}
{{- end -}}

{{/* Where the cluster finds the account server of this release; its certificate has to be for that host. */}}
{{- define "deskplane.server.url" -}}
{{- $tls := ne .Values.server.tls.secretName "" -}}
{{- $port := int .Values.server.service.port -}}
{{- ternary "https" "http" $tls }}://{{ include "deskplane.server.name" . }}.{{ .Release.Namespace }}.svc
{{- if ne $port (ternary 443 80 $tls) }}:{{ $port }}{{ end -}}
{{- end -}}

{{/* Whether the AccountBackend is an account server. */}}
{{- define "deskplane.accountBackend.onServer" -}}
{{- with .Values.accountBackend.server -}}
{{- if or .url .caBundle .credentialsSecretRef.name -}}
true
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "deskplane.accountBackend.name" -}}
{{- $server := include "deskplane.accountBackend.onServer" . -}}
{{- if not .Values.accountBackend.create -}}
{{- $server = or .Values.database.none .Values.server.enabled -}}
{{- end -}}
{{- default (ternary "accounts" "embedded" (not (empty $server))) .Values.accountBackend.name -}}
{{- end -}}
