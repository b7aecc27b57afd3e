# shellcheck shell=bash
# Where PostgreSQL's programs are, and how to speak to the person waiting.

say() { printf '%s\n' "$*" >&2; }
die() {
    say "error: $*"
    exit 1
}

# find_programs: the folder that holds initdb and postgres, or fails. Debian keeps them out of PATH, by version.
find_programs() {
    local folder
    for folder in "$(dirname "$(type -P initdb || echo /nowhere/initdb)")" $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -Vr); do
        if [[ -x $folder/initdb && -x $folder/postgres ]]; then
            echo "$folder"
            return
        fi
    done
    return 1
}
