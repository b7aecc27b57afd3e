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
    local program
    for program in server controller; do
        [[ -s $state/$program.log ]] || continue
        printf '%s--- the last lines of the %s'\''s log%s\n' "$dim" "$program" "$plain" >&2
        tail -n 30 "$state/$program.log" >&2
    done
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
    local program what=$1 until=$((SECONDS + 60))
    shift
    until "$@" >/dev/null 2>&1; do
        for program in server controller; do
            if [[ -f $state/$program.pid ]] && ! kill -0 "$(cat "$state/$program.pid")" 2>/dev/null; then fail "the $program has stopped."; fi
        done
        ((SECONDS < until)) || fail "this did not happen within a minute: $what."
        sleep 0.2
    done
}

# start NAME COMMAND...: runs it in the background as $state/NAME.pid, with its log in $state/NAME.log.
start() {
    local name=$1
    shift
    # In a session of its own: Ctrl-C reaches the demo only, which stops all in order.
    setsid "$@" >"$state/$name.log" 2>&1 </dev/null &
    echo $! >"$state/$name.pid"
}

# stop_program NAME: politely, then not. Its exit code is 0 when it ended in order.
stop_program() {
    local pid until=$((SECONDS + 15)) code=0
    pid=$(cat "$state/$1.pid" 2>/dev/null) || return 0
    # The process id may be another program's by now: ours has the folder in its command line, or its kubeconfig in it.
    cat "/proc/$pid/cmdline" "/proc/$pid/environ" 2>/dev/null | grep -qaF -- "$state/" || return 0
    kill -TERM "$pid"
    while kill -0 "$pid" 2>/dev/null && ((SECONDS < until)); do sleep 0.1; done
    kill -KILL "$pid" 2>/dev/null || true
    # 127: it was started by an earlier demo, so its exit code is not ours to know.
    wait "$pid" 2>/dev/null || code=$?
    rm -f "$state/$1.pid"
    ((code == 127)) || return "$code"
}

# stop_everything: the programs, the control plane, the folder.
stop_everything() {
    stop_program controller || true
    stop_program server || true
    [[ ! -d $state/controlplane ]] || hack/controlplane/down "$state/controlplane" 2>/dev/null
    rm -rf "${state:?}"
}
