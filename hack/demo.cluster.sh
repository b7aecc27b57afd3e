# shellcheck shell=bash disable=SC2154 # $state and $folder are set by demo
# The demo on a cluster of the user's own: it comes as a guest, and takes away all that it brought.

# enter_cluster: refuses where the demo would meet what is not its own.
enter_cluster() {
    headline 'Use the cluster of KUBECONFIG, as a guest'
    type -P kubectl >/dev/null || fail 'kubectl is missing (1.36 or newer): see https://kubernetes.io/docs/tasks/tools.'
    export KUBECACHEDIR=$folder/kubectl-cache
    # The controller's kubeconfig is made from this one.
    kubectl config view --raw --minify --flatten >"$state/kubeconfig" || fail 'there is no cluster to use: set KUBECONFIG.'
    chmod 600 "$state/kubeconfig"
    export KUBECONFIG=$folder/kubeconfig
    run kubectl version
    kubectl get --raw /apis/admissionregistration.k8s.io/v1 | grep -qF '"mutatingadmissionpolicies"' ||
        fail 'this cluster has no MutatingAdmissionPolicy: the demo needs Kubernetes 1.36 or later.'
    local found
    found=$(kubectl get crd -o name) || fail 'the kinds of this cluster cannot be listed: the demo needs the rights of a cluster administrator.'
    found=$(grep -F .deskplane.dev <<<"$found" || true)
    [[ -z $found ]] || fail 'Deskplane is installed in this cluster already, and the demo would meet real accounts. Use another cluster.'
    for namespace in quickstart deskplane-system; do
        ! kubectl get namespace "$namespace" >/dev/null 2>&1 || fail "the namespace $namespace exists already; the demo needs one of its own."
    done
    entered=yes
}

# leave_cluster: lets go of what is there still, and removes all that was installed.
leave_cluster() {
    [[ ${entered:-} == yes ]] || return 0
    headline 'Remove from the cluster what the demo installed there'
    if kubectl get crd accounts.deskplane.dev >/dev/null 2>&1; then
        run deskplane release --all -A --yes
        run kubectl delete acct,org,oper,dept,wdgt --all -A --timeout=60s
        # Refused until the controller has seen that nobody uses them any more.
        eventually 'the plans and backends are deleted' kubectl delete cplan,ab --all --timeout=10s
        run_shell 'deskplane manifests | kubectl delete --ignore-not-found --timeout=60s -f -'
    fi
    run kubectl delete --ignore-not-found -f hack/rbac.yaml
    run kubectl delete namespace quickstart --ignore-not-found --timeout=60s
    entered=
}

# leave_cluster_anyway: whatever went wrong before; says what it could not remove.
leave_cluster_anyway() {
    # No `return` here: in a trap it passes on what the demo failed with, and nothing after it would run.
    (leave_cluster) || {
        echo 'error: not all of it could be removed. What is left: the namespaces quickstart and deskplane-system, and what this lists:' >&2
        echo '    kubectl get crd,clusterrole,clusterrolebinding,validatingadmissionpolicy,mutatingadmissionpolicy -o name | grep deskplane' >&2
    }
}
