#!/bin/sh
# TAP in plain sh, for the tests of the program. A test sources this file, checks, and ends in `finish`.
# $OPIML is the program; everything is written below $tmp, which goes away.

: "${OPIML:?the path of the program}"
[ -x "$OPIML" ] || {
    echo "Bail out! $OPIML is no program"
    exit 99
}
root=$(cd "$(dirname "$0")/../.." && pwd)
tmp=$(mktemp -d "${TMPDIR:-/tmp}/opiml-cli.XXXXXX") || exit 99
trap 'rm -rf "$tmp"' EXIT
trap 'exit 99' INT TERM HUP
XDG_CACHE_HOME=$tmp/cache
export XDG_CACHE_HOME
unset OPIML_LOG OPIML_OP_PATH
python=/usr/bin/python3
cases=0
failures=0
status=0

# run COMMAND...: its status in $status, its output in $tmp/out and $tmp/err.
run() {
    status=0
    "$@" >"$tmp/out" 2>"$tmp/err" || status=$?
}

# opiml ARGUMENT...: run the program.
opiml() {
    run "$OPIML" "$@"
}

# check NAME CONDITION...: one case; a failure shows what the last run said.
check() {
    check_name=$1
    shift
    cases=$((cases + 1))
    if "$@"; then
        echo "ok $cases - $check_name"
    else
        failures=$((failures + 1))
        echo "not ok $cases - $check_name"
        echo "# failed: $*"
        echo "# status $status"
        [ ! -s "$tmp/out" ] || head -n 12 "$tmp/out" | cut -c1-300 | sed 's/^/# out: /'
        [ ! -s "$tmp/err" ] || head -n 12 "$tmp/err" | cut -c1-300 | sed 's/^/# err: /'
    fi
}

skip() {
    cases=$((cases + 1))
    echo "ok $cases - $1 # SKIP $2"
}

finish() {
    echo "1..$cases"
    [ "$failures" = 0 ]
    exit
}

# Conditions.
status_is() { [ "$status" = "$1" ]; }
out_has() { grep -q -e "$1" "$tmp/out"; }
err_has() { grep -q -e "$1" "$tmp/err"; }
err_lines() { [ "$(wc -l <"$tmp/err")" = "$1" ]; }
err_empty() { [ ! -s "$tmp/err" ]; }
out_empty() { [ ! -s "$tmp/out" ]; }
same() { [ "$1" = "$2" ] && [ -n "$1" ]; }
differ() { [ "$1" != "$2" ]; }
absent() { [ ! -e "$1" ]; }

# fails STATUS PATTERN: the last run ended with that status and said so in one line of its own.
fails() {
    status_is "$1" && err_has "^opiml: .*$2"
}

# json KEY: a value of the last run's JSON; a path such as stations.0.name goes deeper.
json() {
    $python - "$1" "$tmp/out" <<'PY'
import json, sys
try:
    value = json.load(open(sys.argv[2]))
    for key in sys.argv[1].split("."):
        value = value[int(key)] if isinstance(value, list) else value[key]
except (ValueError, LookupError) as error:
    value = f"no {sys.argv[1]}: {error}"
print(json.dumps(value) if isinstance(value, (dict, list, bool)) or value is None else value)
PY
}

# feed_digest PIPELINE OPTION...: the digest of a run; empty when it failed.
feed_digest() {
    opiml feed "$@" --digest --json
    [ "$status" != 0 ] || json digest
}

# add_digests A B...: their sum modulo 2^128.
add_digests() {
    $python -c 'import sys; print("%032x" % (sum(int(d, 16) for d in sys.argv[1:]) % 2**128))' "$@"
}

# shapes DIR COUNT [OPTION...]: a small made data set.
shapes() {
    shapes_out=$1 shapes_count=$2
    shift 2
    "$OPIML" data make images --out "$shapes_out" --count "$shapes_count" --size 32 "$@" >/dev/null
}

# pipeline FILE URI [LINE...]: a pipeline file; LINEs follow the dataset.
pipeline() {
    pipeline_file=$1 pipeline_uri=$2
    shift 2
    {
        printf 'opiml: 1\nkind: pipeline\nseed: 7\n'
        printf 'dataset: {uri: "%s"}\nshuffle: {mode: global}\n' "$pipeline_uri"
        printf 'ops:\n  - decode: {}\n  - random_resized_crop: {size: [24, 24]}\n'
        printf '  - random_flip: {p: 0.5}\n'
        printf 'batch: {size: 16}\n'
        for pipeline_line in "$@"; do
            printf '%s\n' "$pipeline_line"
        done
    } >"$pipeline_file"
}

# small_disk BYTES COMMAND...: run it in a mount namespace where $tmp/disk is a file system of that
# size. Returns 77 when this machine does not allow that.
small_disk() {
    small_size=$1
    shift
    mkdir -p "$tmp/disk"
    if [ -z "${small_how:-}" ]; then
        for small_how in "unshare -m" "unshare -rm" no; do
            [ "$small_how" != no ] || break
            $small_how mount -t tmpfs none "$tmp/disk" 2>/dev/null && break
        done
    fi
    [ "$small_how" != no ] || return 77
    # shellcheck disable=SC2016
    $small_how sh -c 'mount -t tmpfs -o size="$1" none "$2" || exit 77; shift 2; exec "$@"' \
        sh "$small_size" "$tmp/disk" "$@"
}
