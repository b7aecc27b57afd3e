# shellcheck shell=bash disable=SC2154 # the scenarios set $namespace and $release
# What the scenarios on a node share: how they speak and wait, and how they tell that nothing was lost.

step() { printf '==> %s\n' "$*" >&2; }
die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# await WHAT COMMAND...: until it succeeds, at most two minutes.
await() {
    local what=$1 until=$((SECONDS + 120))
    shift
    until "$@"; do
        ((SECONDS < until)) || die "gave up waiting for: $what${left:+: $left}"
        sleep 0.2
    done
}

quietly() { "$@" >/dev/null 2>&1; }

# make_namespace: the release's own, with the strictest rules for pods.
make_namespace() {
    kubectl create namespace "$namespace" >/dev/null
    kubectl label namespace "$namespace" pod-security.kubernetes.io/enforce=restricted >/dev/null
}

# rows: every object of ours with its identity here and in the store.
rows() {
    kubectl get deskplane -A --sort-by=.metadata.uid \
        -o custom-columns=KIND:.kind,NAME:.metadata.name,UID:.metadata.uid,ID:.status.externalId,STORE:.status.storeId,READY:'.status.conditions[?(@.type=="Ready")].status'
    kubectl get secrets -n quickstart -o custom-columns=NAME:.metadata.name,UID:.metadata.uid,PASSWORD:.data.password
}

all_ready() { kubectl wait --for=condition=Ready deskplane --all -n quickstart --timeout=2m >/dev/null; }

# departments NAME...: as YAML, each an object that shows that the controller works.
departments() {
    local name
    for name in "$@"; do
        cat <<EOF
---
apiVersion: deskplane.dev/v1alpha1
kind: Department
metadata: {name: $name, namespace: quickstart}
spec: {organizationRef: {name: acme-germany}, displayName: "$name"}
EOF
    done
}

# unchanged: nothing is lost and nothing is new since $before, and the controller works: a new object becomes Ready.
probes=0
unchanged() {
    all_ready
    [[ $(rows) == "$before" ]] || die "after '$1' this is not as it was: $(diff <(echo "$before") <(rows))"
    probes=$((probes + 1))
    departments "probe-$probes" | kubectl apply -f - >/dev/null
    all_ready
    before=$(rows)
}

# pod COMPONENT: the first of its pods.
pod() { kubectl get pods -n "$namespace" -l "app.kubernetes.io/component=$1" -o jsonpath='{.items[0].metadata.name}'; }

# process_of POD: the id of its process. A container's hostname is the pod's name.
process_of() {
    local pid
    for pid in $(pgrep -x deskplane); do
        ! grep -qzx "HOSTNAME=$1" "/proc/$pid/environ" 2>/dev/null || echo "$pid"
    done
}

restarts() { kubectl get pod -n "$namespace" "$1" -o jsonpath='{.status.containerStatuses[0].restartCount}'; }

# has_restarted POD COUNT: whether it has more restarts than that.
has_restarted() { [[ $(restarts "$1" 2>/dev/null) -gt $2 ]]; }

# rolled_out: every pod of the release is there and ready.
rolled_out() {
    local deployment
    for deployment in $(kubectl get deployments -n "$namespace" -o name); do
        kubectl rollout status -n "$namespace" "$deployment" --timeout=2m >/dev/null
    done
}

# has_argument TEXT: whether each pod of the release is to have such an argument.
has_argument() {
    local deployment
    for deployment in $(kubectl get deployments -n "$namespace" -o name); do
        kubectl get "$deployment" -n "$namespace" -o jsonpath='{..args}' | grep -qF -- "$1" || return 1
    done
}

# left_in_namespace: what of a release is still there, but for what it keeps on purpose.
left_in_namespace() {
    kubectl get all,serviceaccounts,poddisruptionbudgets,roles,rolebindings -n "$namespace" -o name | grep -vx serviceaccount/default || true
    kubectl get clusterroles,clusterrolebindings -l app.kubernetes.io/name=deskplane -o name
}

# left_in_cluster: what of us is still there when the kinds have gone too.
left_in_cluster() {
    kubectl get crd,clusterroles,clusterrolebindings -o name | grep -F deskplane || true
    kubectl get validatingadmissionpolicies,validatingadmissionpolicybindings,mutatingadmissionpolicies,mutatingadmissionpolicybindings -o name |
        grep -F deskplane || true
}

# nothing_by COMMAND...: whether it prints nothing.
nothing_by() {
    left=$("$@" 2>&1)
    [[ -z $left ]]
}

# uninstall: what the release is to take away is gone.
uninstall() {
    helm uninstall deskplane --namespace "$namespace" --wait --timeout 3m >/dev/null
    await 'the release is gone' nothing_by left_in_namespace
}

# leave_for_good: lets go of everything, uninstalls, and removes the kinds: the rows stay in the store.
leave_for_good() {
    "$deskplane" release --all -A --yes >/dev/null
    kubectl delete acct,org,oper,dept,wdgt --all -A --timeout=2m >/dev/null
    await 'plans and backend are no longer in use' quietly kubectl delete cplan,ab --all --timeout=1m
    uninstall
    kubectl delete namespace quickstart --timeout=2m >/dev/null
    "$deskplane" manifests | kubectl delete --timeout=1m -f - >/dev/null
    await 'nothing is left in the cluster' nothing_by left_in_cluster
}

# The program as a person has it: the one of the image is static, and runs anywhere.
deskplane=$(find "${CARGO_TARGET_DIR:-target}" -path '*-linux-gnu/release/deskplane' -type f | head -n 1)
