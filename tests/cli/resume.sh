#!/bin/sh
# Killed with -9 at random moments and started again, a run delivers what it would have delivered.
# OPIML_SOAK kills it 50 times, else 8.
. "$(dirname "$0")/lib.sh"

times=8
[ -z "${OPIML_SOAK:-}" ] || times=50
shapes "$tmp/data" 2000 --test 0
pipeline "$tmp/p.yaml" data/train
whole=$(feed_digest "$tmp/p.yaml" --epochs 6)
check "a whole run" same "$(json samples)" 12000

# A run's time, to kill within it.
elapsed=$(json elapsed_s)
kills=0
ended=no
: >"$tmp/places"
while [ $kills -lt $times ]; do
    "$OPIML" feed "$tmp/p.yaml" --epochs 6 --state "$tmp/state" --threads $((kills % 3 + 1)) --digest \
        --json >"$tmp/out" 2>"$tmp/err" &
    pid=$!
    # shellcheck disable=SC2046
    sleep $($python -c "import random; random.seed($kills)
print('%.3f' % random.uniform(0.02, max(0.05, min(0.4, 2 * $elapsed / $times))))")
    kill -9 $pid 2>/dev/null || ended=yes
    wait $pid 2>/dev/null
    kills=$((kills + 1))
    [ ! -f "$tmp/state" ] || cat "$tmp/state" >>"$tmp/places"
    if [ $ended = yes ]; then
        # It came to its end before: start again from nothing.
        check "the digest after $kills kills" same "$(json digest)" "$whole"
        rm -f "$tmp/state"
        ended=no
    fi
done
opiml feed "$tmp/p.yaml" --epochs 6 --state "$tmp/state" --digest --json
check "kills fell in many places" test "$(sort -u "$tmp/places" | wc -l)" -ge $((times / 2))
check "the last run ends" status_is 0
check "the digest after $kills kills" same "$(json digest)" "$whole"
check "no temporary files are left but those of the killed" \
    test "$(find "$tmp" -maxdepth 1 -name 'state.tmp*' | wc -l)" -le $kills
finish
