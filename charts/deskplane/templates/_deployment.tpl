{{- /*
A Deployment of the program, as the controller or as the account server. Takes
  root: what templates get
  component: `controller` or `server`; its values have that name, and its own arguments are in the template deskplane.COMPONENT.args
  name, serviceAccountName, port
  claim: the volume claim of its SQLite file; empty: it has none
  database: the values of its PostgreSQL database; secretName empty: it has none
  tlsSecretName: the Secret with its certificate; empty: it speaks plain HTTP
*/ -}}
{{- define "deskplane.deployment" -}}
{{- $root := .root }}
{{- $values := index $root.Values .component }}
{{- $ca := and .database.secretName .database.caSecretName }}
{{- $scheme := ternary "https" "http" (ne .tlsSecretName "") }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .name }}
  labels:
    {{- include "deskplane.labels" $root | nindent 4 }}
spec:
  replicas: {{ $values.replicas | int }}
  strategy:
    {{- if .claim }}
    # One process writes to the file, and the volume is on one node: the old pod ends before the new one starts.
    type: Recreate
    {{- else }}
    # The new pod may start while the old one works.
    type: RollingUpdate
    {{- end }}
  selector:
    matchLabels:
      {{- include "deskplane.selectorLabels" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "deskplane.selectorLabels" . | nindent 8 }}
        {{- with $values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        kubectl.kubernetes.io/default-container: {{ .component }}
        {{- if $root.Values.metrics.scrapeAnnotations }}
        prometheus.io/scrape: "true"
        prometheus.io/port: {{ .port | quote }}
        {{- if .tlsSecretName }}
        prometheus.io/scheme: https
        {{- end }}
        prometheus.io/path: /metrics
        {{- end }}
        {{- with $values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ .serviceAccountName | quote }}
      # The account server asks nothing of Kubernetes.
      automountServiceAccountToken: {{ eq .component "controller" }}
      enableServiceLinks: false
      {{- with $root.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- include "deskplane.podSecurityContext" $root | nindent 8 }}
      terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds | int }}
      {{- with $values.priorityClassName }}
      priorityClassName: {{ . | quote }}
      {{- end }}
      containers:
        - name: {{ .component }}
          image: {{ include "deskplane.image" $root | quote }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args:
            - {{ .component }}
            {{- include (printf "deskplane.%s.args" .component) $root | trim | nindent 12 }}
            - --listen=0.0.0.0:{{ .port }}
            - {{ printf "--log-level=%s" $values.logLevel | quote }}
            - --log-format={{ $values.logFormat }}
          {{- if or .claim .database.secretName $values.env }}
          env:
            {{- if .claim }}
            - name: DESKPLANE_DATABASE
              value: sqlite:///data/deskplane.db
            {{- else if .database.secretName }}
            - name: DESKPLANE_DATABASE
              valueFrom:
                secretKeyRef: {name: {{ .database.secretName | quote }}, key: {{ .database.secretKey | quote }}}
            {{- if $ca }}
            - name: PGSSLROOTCERT
              value: /etc/deskplane/database/ca.crt
            {{- end }}
            {{- end }}
            {{- range $name, $value := $values.env }}
            - name: {{ $name }}
              value: {{ $value | quote }}
            {{- end }}
          {{- end }}
          ports:
            - name: {{ $scheme }}
              containerPort: {{ .port }}
          {{- if and (eq .component "server") (not .claim) }}
          # It serves on until its address has gone from the Service on every node: clients go to another pod, and none is refused.
          lifecycle:
            preStop:
              sleep: {seconds: 5}
          {{- end }}
          # Opening a large database, or bringing it to a new version, may take a while.
          startupProbe:
            httpGet: {path: /healthz, port: {{ $scheme }}, scheme: {{ upper $scheme }}}
            periodSeconds: 2
            failureThreshold: 150
          livenessProbe:
            httpGet: {path: /healthz, port: {{ $scheme }}, scheme: {{ upper $scheme }}}
            periodSeconds: 10
            timeoutSeconds: 5
          readinessProbe:
            httpGet: {path: /readyz, port: {{ $scheme }}, scheme: {{ upper $scheme }}}
            periodSeconds: 5
            timeoutSeconds: 5
          securityContext:
            {{- include "deskplane.containerSecurityContext" $root | nindent 12 }}
          {{- with $values.resources }}
          resources:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          {{- if or .claim $ca .tlsSecretName }}
          volumeMounts:
            {{- if .claim }}
            - name: data
              mountPath: /data
            {{- end }}
            {{- if $ca }}
            - name: database-ca
              mountPath: /etc/deskplane/database
              readOnly: true
            {{- end }}
            {{- if .tlsSecretName }}
            - name: tls
              mountPath: /etc/deskplane/tls
              readOnly: true
            {{- end }}
          {{- end }}
      {{- if or .claim $ca .tlsSecretName }}
      volumes:
        {{- with .claim }}
        - name: data
          persistentVolumeClaim:
            claimName: {{ . | quote }}
        {{- end }}
        {{- if $ca }}
        - name: database-ca
          secret:
            secretName: {{ $ca | quote }}
            items:
              - key: {{ .database.caSecretKey | quote }}
                path: ca.crt
        {{- end }}
        {{- with .tlsSecretName }}
        - name: tls
          secret:
            secretName: {{ . | quote }}
        {{- end }}
      {{- end }}
      {{- with $values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
{{- end -}}
