#!/bin/sh
# For the comparisons that are scripts: a folder of their own, and the data that they look for.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
programs=${OPIML_BUILD:-$here/build}/bench
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export XDG_CACHE_HOME="$tmp/cache"
failed=0

# shared NAME: the path of a data set that is not part of this repository; ends the comparison,
# undecided, where there is none. $OPIML_DATA says where they lie.
shared() {
    found=${OPIML_DATA:-$here/../shared/data}/$1
    if [ ! -f "$found" ]; then
        echo "skipped: $1 is neither in \$OPIML_DATA nor in ../shared/data"
        exit 77
    fi
}

# torch: $torch is a Python that has the packages of tools/torch.txt; ends the comparison, undecided,
# where there is none. $OPIML_TORCH names another.
torch() {
    torch=${OPIML_TORCH:-$here/build/torch/bin/python}
    if ! "$torch" -c 'import torch' 2>/dev/null; then
        echo "skipped: no PyTorch in build/torch (./dev bench installs it), nor in \$OPIML_TORCH"
        exit 77
    fi
}

# claim WHAT VALUE least|most TARGET: prints a line; remembers a target that was missed.
claim() {
    if awk -v value="$2" -v way="$3" -v target="$4" \
        'BEGIN { exit value !~ /^[0-9.]+$/ || !(way == "least" ? value >= target : value <= target) }'; then
        verdict=ok
    else
        verdict=MISSED
        failed=1
    fi
    printf '%-44s %10s  at %s %s %s\n' "$1" "$2" "$3" "$4" "$verdict"
}

# field NAME: a number of the JSON on standard input.
field() {
    /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"
}
