#!/bin/sh
# Every example pipeline, cut at every operator through a loopback link, gives the same digest and
# stays within its memory.
. "$(dirname "$0")/lib.sh"

cp "$root"/examples/*/*.yaml "$tmp/"
sed -i 's#uri: .*, format: image-folder#uri: data/shapes/train, format: image-folder#' "$tmp"/*.yaml
# Examples of users' own operators are part of it where there is a compiler.
mkdir "$tmp/ops"
for source in "$root"/examples/*/op_*.c; do
    if command -v cc >/dev/null; then
        cc -shared -fPIC -I"$root/include" -o "$tmp/ops/$(basename "$source" .c).so" "$source"
    else
        rm "$tmp/$(basename "$source" .c | sed s/^op_//).yaml"
    fi
done
OPIML_OP_PATH=$tmp/ops
export OPIML_OP_PATH
shapes "$tmp/data/shapes" 600 --test 60
"$OPIML" data make volumes --out "$tmp/data/bodies" --count 24 --test 6 >/dev/null
# Real volumes lie beside the clone, or not at all; KiTS19 is not ours to give away.
brain=$root/../shared/data
if [ -e "$brain/mni152-t1.nii.gz" ] && [ -z "${OPIML_SANITIZED:-}" ]; then
    ln -s "$brain" "$tmp/data/brain"
else
    rm "$tmp"/brain-*.yaml
fi
rm "$tmp"/kits19-*.yaml
# Payments lie in a database, which not every build reads.
"$OPIML" data make payments --format sqlite --count 2000 --out "$tmp/data/payments" >/dev/null 2>&1 ||
    rm "$tmp"/payments*.yaml
for file in "$tmp"/*.yaml; do
    name=$(basename "$file" .yaml)
    grep -q '^kind: pipeline' "$file" || continue
    case $name in
    brain-*) limit=8 ;; # each of its crops unpacks a whole volume
    *) limit=512 ;;
    esac
    whole=$(feed_digest "$file" --limit $limit)
    check "$name: feeds" same "$(echo "$whole" | wc -c)" 33
    if [ -z "${OPIML_SANITIZED:-}" ]; then
        check "$name: memory stays within the pool and 48 MiB" test "$(json rss_peak)" -le \
            $(($(json pool.bytes) + 48 * 1024 * 1024))
        case $name in
        payments-*) ;; # a query is a text, and its answer comes as the database makes it
        *) check "$name: no allocations by the data path" same "$(json allocations)" 0 ;;
        esac
    fi
    cut=0
    while [ $cut -lt 32 ]; do
        opiml feed "$file" --limit $limit --cut $cut --digest --json
        [ "$status" = 0 ] || break
        check "$name: cut at $cut" same "$(json digest)" "$whole"
        cut=$((cut + 1))
    done
    check "$name: has operators to cut at" test $cut -ge 2
    check "$name: past the last operator there is nothing to cut" fails 2 "operators that can be cut"
done
check "there are example pipelines" test $cases -ge 5
finish
