# shellcheck shell=bash
# Where PostgreSQL's programs are, and how to speak to the person waiting.

say() { printf '%s\n' "$*" >&2; }
die() {
    say "error: $*"
    exit 1
}

# find_programs: the folder that holds all of initdb, postgres, pg_dump and pg_restore, or fails. Debian keeps them out of PATH, by version.
find_programs() {
    local folder program
    for folder in "$(dirname "$(readlink -f "$(type -P initdb || echo /nowhere/initdb)")")" $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -Vr); do
        for program in initdb postgres pg_dump pg_restore; do
            [[ -x $folder/$program ]] || continue 2
        done
        echo "$folder"
        return
    done
    return 1
}
