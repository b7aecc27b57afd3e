# shellcheck shell=bash disable=SC2154 # $state and $folder are set by demo
# The demo on a cluster of the user's own: it comes as a guest, and takes away all that it brought.

# enter_cluster: refuses where the demo would meet what is not its own.
enter_cluster() {
    headline 'Use the cluster of KUBECONFIG, as a guest'
    export KUBECACHEDIR=$folder/kubectl-cache
    # The controller's kubeconfig is made from this one.
    kubectl config view --raw --minify --flatten >"$state/kubeconfig" || fail 'there is no cluster to use: set KUBECONFIG.'
    chmod 600 "$state/kubeconfig"
    export KUBECONFIG=$folder/kubeconfig
    run kubectl version
    local found
    found=$(kubectl get crd -o name) || fail 'the kinds of this cluster cannot be listed: the demo needs the rights of a cluster administrator.'
    found=$(grep -F .deskplane.dev <<<"$found" || true)
    [[ -z $found ]] || fail 'Deskplane is installed in this cluster already, and the demo would meet real accounts. Use another cluster.'
    for namespace in quickstart deskplane-system; do
        ! kubectl get namespace "$namespace" >/dev/null 2>&1 || fail "the namespace $namespace exists already; the demo needs one of its own."
    done
    entered=yes
}

# leave_cluster: lets go of what is there still, and removes all that was installed. Once.
leave_cluster() {
    [[ ${entered:-} == yes ]] || return 0
    entered=
    headline 'Remove from the cluster what the demo installed there'
    if kubectl get crd accounts.deskplane.dev >/dev/null 2>&1; then
        run deskplane release --all -A --yes
        run kubectl delete acct,org,oper,dept,wdgt,cplan,ab --all -A --timeout=60s
        run_shell 'deskplane manifests | kubectl delete --ignore-not-found --timeout=60s -f -'
    fi
    run kubectl delete --ignore-not-found -f hack/rbac.yaml
    run kubectl delete namespace quickstart --ignore-not-found --timeout=60s
}
