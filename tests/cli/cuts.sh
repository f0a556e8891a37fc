#!/bin/sh
# Every example pipeline, cut at every operator through a loopback link, gives the same digest and
# stays within its memory.
. "$(dirname "$0")/lib.sh"

cp "$root"/examples/*/*.yaml "$tmp/"
shapes "$tmp/data/shapes" 600 --test 60
for file in "$tmp"/*.yaml; do
    name=$(basename "$file" .yaml)
    grep -q '^kind: pipeline' "$file" || continue
    grep -q 'data/shapes' "$file" || continue
    whole=$(feed_digest "$file" --limit 512)
    check "$name: feeds" same "$(echo "$whole" | wc -c)" 33
    if [ -z "${OPIML_SANITIZED:-}" ]; then
        check "$name: memory stays within the pool and 48 MiB" test "$(json rss_peak)" -le \
            $(($(json pool.bytes) + 48 * 1024 * 1024))
        check "$name: no allocations by the data path" same "$(json allocations)" 0
    fi
    cut=0
    while :; do
        digest=$(feed_digest "$file" --limit 512 --cut $cut)
        [ "$status" = 0 ] || break
        check "$name: cut at $cut" same "$digest" "$whole"
        cut=$((cut + 1))
    done
    check "$name: has operators to cut at" test $cut -ge 2
    check "$name: past the last operator there is nothing to cut" fails 2 "cut"
done
check "there are example pipelines" test $cases -ge 5
finish
