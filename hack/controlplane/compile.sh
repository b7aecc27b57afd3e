# shellcheck shell=bash disable=SC2154 # lib.sh and the scripts that source this set the rest
# Builds programs from Go modules, once, into the folder $cache: for the control plane, the tools and the node.

# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# check_go WHAT [OTHER-WAY]: stops when there is no Go that can build WHAT, and names the ways out.
check_go() {
    local help="Install Go 1.26 or later (https://go.dev/dl)${2:+, or $2}." version
    type -P go >/dev/null || die "$1 must be built, and Go is missing. $help"
    version=$(GOTOOLCHAIN=local go env GOVERSION)
    [[ $version =~ ^go1\.([0-9]+) && ${BASH_REMATCH[1]} -ge 26 ]] || die "$1 must be built, and Go is ${version#go}. $help"
}

# watch PID LOG WHAT: says every 15 seconds, or on a terminal in place every second, how far a build is.
watch() {
    local pid=$1 log=$2 what=$3 start=$SECONDS every=15 line
    [[ ! -t 2 ]] || every=1
    while kill -0 "$pid" 2>/dev/null; do
        if (((SECONDS - start) % every == 0 && SECONDS > start)); then
            printf -v line '    %s: %d:%02d, %d packages compiled' "$what" $(((SECONDS - start) / 60)) $(((SECONDS - start) % 60)) "$(wc -l <"$log")"
            if [[ -t 2 ]]; then printf '\r%s' "$line" >&2; else say "$line"; fi
        fi
        sleep 1
    done
    [[ ! -t 2 ]] || printf '\r\033[K' >&2
}

# compile WHAT MODULE GO-BUILD-ARGUMENT...: one `go build` in the folder of a module. -v names each package as it is compiled, which
# is our progress.
compile() {
    local what=$1 module=$2 log=$work/log start=$SECONDS
    shift 2
    : >"$log"
    (cd "$module" && exec nice go build -v "$@") >"$log" 2>&1 9>&- &
    building=$!
    watch "$building" "$log" "$what"
    if ! wait "$building"; then
        tail -n 20 "$log" >&2
        die "$what could not be built: see the lines above. Is there a way to the Go module proxy?"
    fi
    building=
    say "    $what: built in $((SECONDS - start)) s"
}

# build_kubernetes PROGRAM...: of the module in this folder.
build_kubernetes() {
    local version=k8s.io/component-base/version minor program packages=()
    minor=${kubernetes_version#v1.}
    for program in "$@"; do packages+=("k8s.io/kubernetes/cmd/$program"); done
    # Without the stamp the programs say v0.0.0, and clients believe them.
    compile "$(IFS=,; echo "$*")" "$here" \
        -ldflags "-s -w -X $version.gitVersion=$kubernetes_version -X $version.gitMajor=1 -X $version.gitMinor=${minor%%.*}" \
        -o "$work/bin/" "${packages[@]}"
}

clean_up() {
    [[ -z ${building:-} ]] || kill "$building" 2>/dev/null || true
    rm -rf "$work"
}

# build_once WHAT MISSING BUILD: while the function MISSING names programs, runs BUILD with these names, in one process at a time.
# BUILD leaves programs in $work/bin; they then appear in $cache.
build_once() {
    local todo
    [[ -n $("$2") ]] || return 0
    need flock util-linux
    mkdir -p "$cache"
    exec 9>"$cache/lock"
    if ! flock --nonblock 9; then
        say "Another build of $1 is running; waiting for it ..."
        flock 9
    fi
    mapfile -t todo < <("$2") # anew: another build may just have made them
    if ((${#todo[@]} > 0)); then
        rm -rf "$cache"/building.*
        work=$(mktemp -d "$cache/building.XXXXXX")
        building=
        trap clean_up EXIT
        trap 'exit 130' INT TERM
        mkdir "$work/bin"
        # -trimpath: the same programs whoever builds them. CGO_ENABLED=0: no C compiler needed.
        export GOTOOLCHAIN=local GOFLAGS='-mod=readonly -trimpath -buildvcs=false' CGO_ENABLED=0
        "$3" "${todo[@]}"
        # In one rename each: nobody ever sees half a program.
        mv "$work"/bin/* "$cache/"
        clean_up
    fi
    exec 9>&-
}
