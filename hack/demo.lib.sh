# shellcheck shell=bash disable=SC2154 # $state is set by demo
# How the demo speaks, checks what it says, and ends.

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
    title=$'\e[1;36m' bold=$'\e[1m' dim=$'\e[2m' red=$'\e[1;31m' plain=$'\e[0m'
else
    title='' bold='' dim='' red='' plain=''
fi

headline() { printf '\n%s== %s%s\n' "$title" "$*" "$plain"; }
say() { printf '\n%s%s%s\n' "$dim" "$*" "$plain"; }

show_line() { printf '\n%s$ %s%s\n' "$bold" "$1" "$plain"; }

# show ARGUMENT...: the command as one would type it.
show() {
    local word line=
    for word in "$@"; do
        if [[ $word =~ ^[A-Za-z0-9_./:=,@+-]+$ ]]; then line+=" $word"; else line+=" '$word'"; fi
    done
    show_line "${line# }"
}

# fail MESSAGE: a step did not do what it says.
fail() {
    printf '\n%serror: %s%s\n' "$red" "$*" "$plain" >&2
    if [[ -s $state/controller.log ]]; then
        printf '%s--- the last lines of the controller'\''s log%s\n' "$dim" "$plain" >&2
        tail -n 30 "$state/controller.log" >&2
    fi
    exit 1
}

# attempt COMMAND...: shows and runs it; what it prints is shown, and kept in $state/output for `prints`.
attempt() {
    show "$@"
    "$@" 2>&1 | tee "$state/output"
}

# run COMMAND...: it must succeed.
run() { attempt "$@" || fail "the command above failed."; }

# run_shell LINE: the same for a pipeline.
run_shell() {
    show_line "$1"
    bash -o pipefail -c "$1" 2>&1 | tee "$state/output" || fail "the command above failed."
}

# run_refused COMMAND...: it must fail.
run_refused() {
    if attempt "$@"; then fail "the command above should have been refused."; fi
}

# prints TEXT: what the last command must have printed.
prints() { grep -qF -- "$1" "$state/output" || fail "the output above should contain: $1"; }

# row NAME TEXT...: the line of the last table that begins with this name must hold these words.
row() {
    local line word
    line=$(grep -E "^([^ /]+/)?$1 " "$state/output") || fail "the table above should list $1."
    shift
    for word in "$@"; do
        [[ " $line " =~ [[:space:]]"$word"[[:space:]] ]] || fail "the table above should say $word in this line: $line"
    done
}

# eventually WHAT COMMAND...: until it succeeds, for at most a minute and as long as the controller runs.
eventually() {
    local what=$1 until=$((SECONDS + 60))
    shift
    until "$@" >/dev/null 2>&1; do
        if [[ -n ${controller:-} ]] && ! kill -0 "$controller" 2>/dev/null; then fail "the controller has stopped."; fi
        ((SECONDS < until)) || fail "this did not happen within a minute: $what."
        sleep 0.2
    done
}

# stop_controller: politely, then not. Its exit code is 0 when it ended in order.
stop_controller() {
    local pid until=$((SECONDS + 15)) code=0
    pid=$(cat "$state/controller.pid" 2>/dev/null) || return 0
    # The process id may be another program's by now: ours has the folder in its command line.
    { tr '\0' '\n' <"/proc/$pid/cmdline" | grep -qF -- "$state/"; } 2>/dev/null || return 0
    kill -TERM "$pid"
    while kill -0 "$pid" 2>/dev/null && ((SECONDS < until)); do sleep 0.1; done
    kill -KILL "$pid" 2>/dev/null || true
    [[ ${controller:-} != "$pid" ]] || wait "$pid" || code=$?
    rm -f "$state/controller.pid"
    return "$code"
}

# stop_everything: the controller, the control plane, the folder.
stop_everything() {
    stop_controller || true
    [[ ! -d $state/controlplane ]] || hack/controlplane/down "$state/controlplane" 2>/dev/null
    rm -rf "${state:?}"
}
