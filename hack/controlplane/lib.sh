# shellcheck shell=bash disable=SC2034 # used by the scripts that source this
# What build, up and down share: which versions, where programs are, how to speak to the person waiting.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# go.mod is the one place where the versions are written.
kubernetes_version=$(sed -nE 's/^\s*k8s.io\/kubernetes (v[0-9.]+).*/\1/p' "$here/go.mod")
etcd_version=$(sed -nE 's/^\s*go.etcd.io\/etcd\/server\/v3 (v[0-9.]+).*/\1/p' "$here/etcd/go.mod")
caches=${XDG_CACHE_HOME:-$HOME/.cache}/deskplane
cache=$caches/controlplane/$kubernetes_version-etcd-$etcd_version

programs=(kube-apiserver kube-controller-manager kubectl etcd)

say() { printf '%s\n' "$*" >&2; }
die() {
    say "error: $*"
    exit 1
}

# need PROGRAM DEBIAN-PACKAGE: stops with what to install.
need() { type -P "$1" >/dev/null || die "'$1' is missing. On Debian and Ubuntu: apt-get install $2"; }

# version_of PATH: the "major minor" a program reports, or nothing.
version_of() {
    local flag=--version
    [[ ${1##*/} != kubectl ]] || flag='version --client'
    # shellcheck disable=SC2086 # two words on purpose
    { "$1" $flag 2>/dev/null || true; } | sed -nE '1,3s/^[^0-9]*([0-9]+)\.([0-9]+)\..*/\1 \2/p' | head -n 1
}

# fits PROGRAM PATH: whether a program that was not built by us is of a version we can use.
# MutatingAdmissionPolicy is v1 since Kubernetes 1.36, and an API server of 1.36 expects etcd 3.6. kubectl supports a skew of one minor
# version; a controller-manager must not be newer than its API server, so it has to be of our own minor version.
fits() {
    local major minor ours
    read -r major minor <<<"$(version_of "$2")" || return 1
    ours=${kubernetes_version#v1.}
    ours=${ours%%.*}
    [[ -n ${minor:-} ]] || return 1
    case $1 in
        etcd) ((major > 3 || (major == 3 && minor >= 6))) ;;
        kube-apiserver) ((major == 1 && minor >= 36)) ;;
        kube-controller-manager) ((major == 1 && minor == ours)) ;;
        kubectl) ((major == 1 && minor >= ours - 1 && minor <= ours + 1)) ;;
    esac
}

# find_program NAME: its path, or fails. KUBEBUILDER_ASSETS first (the convention of envtest), then what was built, then PATH.
find_program() {
    local candidate
    for candidate in "${KUBEBUILDER_ASSETS:+$KUBEBUILDER_ASSETS/$1}" "$cache/$1" "$(type -P "$1" || true)"; do
        if [[ -x $candidate ]] && { [[ $candidate == "$cache"/* ]] || fits "$1" "$candidate"; }; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    return 1
}
