# shellcheck shell=bash disable=SC2154 # $state, $tied, $address, $program and the ports are set by up
# The three processes of a control plane: what each is started with and why, and how they stop.
# Everything of one control plane is in the folder $state: keys, kubeconfig, audit.log, logs/, pids/ and etcd's data.

# launch NAME ARGUMENT...: starts a program in a session of its own, so that Ctrl-C reaches only the script, which stops all in order.
# A tied control plane's processes also die with this script, however it ends.
launch() {
    local name=$1 leash=()
    shift
    [[ $tied == no ]] || leash=(setpriv --pdeathsig KILL --)
    setsid "${leash[@]}" "${program[$name]}" "$@" >>"$state/logs/$name.log" 2>&1 </dev/null &
    echo $! >"$state/pids/$name"
    # Until the fork has become the program, `alive` would not know it.
    while [[ /proc/$!/exe -ef /proc/$$/exe ]]; do sleep 0.01; done
    disown
}

# alive NAME: whether it runs. The state folder in its command line tells it from another process that got the same id later.
alive() {
    local pid
    { pid=$(cat "$state/pids/$1") && tr '\0' '\n' <"/proc/$pid/cmdline" | grep -qF -- "$state/"; } 2>/dev/null
}

# ended PID: whether all its threads are gone, and so its ports free. A dying process loses its command line before it closes its sockets.
ended() {
    ! grep -qs '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$1/task/"*/status
}

# stop NAME: at once. There is nothing to save: a stopped control plane is thrown away, and a restarted API server has its state in etcd.
stop() {
    local pid
    if alive "$1"; then
        pid=$(cat "$state/pids/$1")
        kill -KILL "$pid" 2>/dev/null || true
        until ended "$pid"; do sleep 0.02; done
    fi
    rm -f "$state/pids/$1"
}

stop_all() {
    stop kube-controller-manager
    stop kube-apiserver
    stop etcd
}

# strangers: the id of each process that has a connection to our API server, of those that we may look at and did not start.
strangers() {
    local port inodes=() ours name
    port=$(sed -nE 's/.*server: "[^"]*:([0-9]+)".*/\1/p' "$state/kubeconfig")
    # In /proc/net/tcp: the other side's address and port in hexadecimal, 01 for an open connection, and the socket's inode.
    mapfile -t inodes < <(awk -v port=":$(printf %04X "$port")$" '$3 ~ port && $4 == "01" { print $10 }' /proc/net/tcp)
    ((${#inodes[@]} > 0)) || return 0
    ours=" $(for name in "${programs[@]}"; do cat "$state/pids/$name" 2>/dev/null || true; done | tr '\n' ' ')"
    # shellcheck disable=SC2046 # words on purpose
    find /proc/[0-9]*/fd -maxdepth 1 \( -false $(printf ' -o -lname socket:\[%s\]' "${inodes[@]}") \) 2>/dev/null |
        cut -d / -f 3 | sort -nu | while read -r pid; do
        [[ $ours == *" $pid "* ]] || echo "$pid"
    done
}

# name_strangers: what runs against this control plane is not ours to stop; but whoever started it may have forgotten.
name_strangers() {
    local pid command
    for pid in $(strangers); do
        # What this script started to look has ended by now.
        command=$({ tr '\0' ' ' <"/proc/$pid/cmdline" | cut -c 1-200; } 2>/dev/null) || continue
        [[ -n $command && $pid != "$$" ]] || continue
        say "Process $pid still uses this control plane: $command"
        say "  It was not started with it, so it is left alone. To stop it: kill $pid"
    done
}

# free_port: below the range that the kernel takes ports for outgoing connections from, so that none of those gets it before we listen.
free_port() {
    local port
    while true; do
        port=$((20000 + RANDOM % 12000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
}

start_etcd() {
    # --unsafe-no-fsync: what a machine's crash could take is thrown away anyway. The peer port is nobody's business in a cluster of one.
    launch etcd --data-dir "$state/etcd" --unsafe-no-fsync --log-level warn \
        --listen-client-urls "http://127.0.0.1:$etcd_port" --advertise-client-urls "http://127.0.0.1:$etcd_port" \
        --listen-peer-urls http://127.0.0.1:0
}

start_apiserver() {
    local flags=(
        --etcd-servers "http://127.0.0.1:$etcd_port"
        --bind-address "$address" --advertise-address "$address" --secure-port "$api_port"
        --cert-dir "$state/certs"
        --token-auth-file "$state/tokens.csv" --authorization-mode RBAC
        --service-account-issuer https://kubernetes.default.svc
        --service-account-key-file "$state/service-account.key" --service-account-signing-key-file "$state/service-account.key"
        --service-cluster-ip-range 10.0.0.0/24
        --audit-policy-file "$here/audit-policy.yaml" --audit-log-path "$state/audit.log"
        # Many tests at once come from one machine: they are to meet our limits, not the API server's.
        --max-requests-inflight 2000 --max-mutating-requests-inflight 1000 --enable-priority-and-fairness=false
        --kubelet-preferred-address-types InternalIP
        --profiling=false
    )
    # Loopback is no valid endpoint of the service `kubernetes`, and without nodes nothing uses it.
    [[ $address != 127.* ]] || flags+=(--endpoint-reconciler-type none)
    launch kube-apiserver "${flags[@]}"
}

start_controller_manager() {
    # Only what a control plane without nodes needs: namespaces that go away, garbage collection, the `default` service account,
    # aggregated roles, and the type check of validating policies. Each of the others would watch and resync for nothing.
    local controllers=namespace-controller,garbage-collector-controller,serviceaccount-controller
    controllers+=,clusterrole-aggregation-controller,validatingadmissionpolicy-status-controller
    [[ $address == 127.* ]] || controllers='*' # a cluster with nodes
    # Service account credentials: so that policies see the controllers under the names they have in a real cluster.
    launch kube-controller-manager --kubeconfig "$state/controller-manager.kubeconfig" --controllers "$controllers" \
        --use-service-account-credentials --root-ca-file "$state/certs/apiserver.crt" --service-account-private-key-file "$state/service-account.key" \
        --leader-elect=false --secure-port 0 --profiling=false --kube-api-qps 300 --kube-api-burst 600
}

# await WHAT COMMAND...: until the command succeeds; fails when etcd or the API server dies, or after three minutes.
await() {
    local what=$1 until=$((SECONDS + 180))
    shift
    until "$@" >/dev/null 2>&1; do
        alive etcd && alive kube-apiserver || return 1
        ((SECONDS < until)) || {
            say "gave up waiting for $what"
            return 1
        }
        sleep 0.1
    done
}

# A cache of its own: the ports of finished control planes would pile up in the person's.
kubectl_admin() { "${program[kubectl]}" --kubeconfig "$state/kubeconfig" --cache-dir "$state/kubectl-cache" --request-timeout 5s "$@"; }

await_apiserver() {
    await 'the API server' kubectl_admin get --raw /readyz &&
        await 'the first namespaces' kubectl_admin get namespace default kube-system
}
