#!/bin/sh
# generate.sh OPIML: write the pages that come out of the program's own tables: docs/verbs/ and
# docs/operators.md. `./dev docs` calls it; tests/cli/verbs.sh compares.
set -eu
opiml=$(realpath "$1")
cd "$(dirname "$0")"
unset OPIML_OP_PATH
mkdir -p verbs
rm -f verbs/*.md
"$opiml" help --form markdown >verbs/README.md
"$opiml" help | sed -n 's/^  \([a-z]*\( [a-z]*\)\{0,1\}\)   *[A-Z].*/\1/p' | while read -r verb; do
    # shellcheck disable=SC2086
    "$opiml" help $verb --form markdown >"verbs/$(echo "$verb" | tr ' ' -).md"
done
"$opiml" ops --markdown >operators.md
