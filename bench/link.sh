#!/bin/sh
# Links: small frames through shared memory, from one core to another; large ones, which take no
# longer since nobody copies them; TCP against iperf3, over loopback and, where namespaces are
# allowed, over a wire that is shaped to 1 Gb/s; UCX against ucx_perftest, over TCP; and what a node's CPU does for records that it hands
# on as they are. Records are made below TMPDIR, which must not be in memory.
. "$(dirname "$0")/lib.sh"
pairs=${PAIRS:-10}
link=$programs/bench_link

# median: of the numbers on standard input.
median() {
    sort -g | awk '{ value[NR] = $1 } END { printf "%.4f\n", (value[int((NR + 1) / 2)] + value[int(NR / 2) + 1]) / 2 }'
}

: >"$tmp/small"
for _ in $(seq "$pairs"); do
    "$link" small 4000000 256 >>"$tmp/small"
done
each() {
    while read -r line; do echo "$line" | field "$1"; done <"$tmp/small" | median
}
claim "small frames per second, a core at each end" "$(each frames_per_s)" least 1000000
claim "  CPU seconds per million, who sends" "$(each sender_cpu_s_per_million)" most 1
claim "  CPU seconds per million, who receives" "$(each receiver_cpu_s_per_million)" most 1
"$link" large "$pairs" 10 || failed=1

if command -v iperf3 >/dev/null; then
    for streams in 1 2 4; do
        "$link" tcp 127.0.0.1 $streams "$pairs" 0.9 || failed=1
    done
    # In a namespace of its own, with another one at the other end of the wire.
    # shellcheck disable=SC2016 # the inner shell's
    shaped='
        ip link set lo up
        unshare -n sleep 600 & apart=$!
        trap "kill $apart" EXIT
        sleep 0.3
        ip link add here type veth peer name there netns $apart || exit 77
        ip addr add 192.0.2.1/24 dev here && ip link set here up || exit 77
        nsenter -t $apart -n sh -c "ip addr add 192.0.2.2/24 dev there && ip link set there up && ip link set lo up"
        for wire in "tc" "nsenter -t $apart -n tc"; do
            [ "$wire" = tc ] && end=here || end=there
            $wire qdisc add dev $end root tbf rate 1gbit burst 256kb latency 20ms || exit 77
        done
        echo "over a wire of 1 Gb/s:"
        status=0
        for streams in 1 4; do
            "$0" tcp 192.0.2.2 $streams "$1" 0.9 nsenter -t $apart -n || status=1
        done
        exit $status'
    status=0
    unshare -rn sh -c "$shaped" "$link" "$pairs" || status=$?
    case $status in
    0) ;;
    77 | 126 | 127) echo "skipped: a shaped wire, which wants network namespaces, ip and tc" ;;
    *) failed=1 ;;
    esac
else
    echo "skipped: TCP against iperf3, which is not installed"
fi

# ---- UCX ----

if ! command -v ucx_perftest >/dev/null; then
    echo "skipped: UCX against ucx_perftest, which is not installed (Debian: ucx-utils)"
elif "$programs/../app/opiml/opiml" version | grep -q 'UCX *no'; then
    echo "skipped: UCX, which this build is without"
else
    UCX_TLS=tcp "$link" ucx 127.0.0.1 "$pairs" 0.8 || failed=1
fi

# ---- records that a node hands on as they are ----

case $(stat -f -c %T "$tmp") in
tmpfs | ramfs)
    echo "skipped: what a node does for raw records, since $tmp lies in memory; set TMPDIR"
    exit $failed
    ;;
esac
opiml=$programs/../app/opiml/opiml
head -c 536870912 /dev/urandom >"$tmp/raw.bin"
cat >"$tmp/raw.yaml" <<YAML
opiml: 1
kind: pipeline
dataset: {uri: "$tmp/raw.bin", format: raw, fields: ["x:u8:65536"], direct: true}
batch: {size: 64}
YAML
"$opiml" node start --state none --listen 127.0.0.1:0 --data 127.0.0.1:0 --roots "$tmp" >"$tmp/node" &
node=$!
trap 'kill $node; rm -rf "$tmp"' EXIT
while ! [ -s "$tmp/node" ]; do sleep 0.05; done
at=$(awk '{ print $NF; exit }' "$tmp/node")

# node_cpu: seconds that the node has used.
node_cpu() {
    awk -v tick="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print ($12 + $13) / tick }' /proc/$node/stat
}

# hand_on LINK: CPU seconds per GiB, of 3 GiB.
hand_on() {
    before=$(node_cpu)
    "$opiml" feed "$tmp/raw.yaml" --epochs 6 --node "$at" --insist --cut 0 --link "$1" --json >"$tmp/report"
    node_cpu | awk -v before="$before" -v bytes="$(field bytes_delivered <"$tmp/report")" \
        '{ printf "%.3f\n", ($1 - before) / (bytes / 2 ^ 30) }'
}

for way in shm tcp; do
    hand_on $way >/dev/null # memory is used for the first time
    for _ in $(seq "$pairs"); do hand_on $way; done >"$tmp/cpu"
    claim "node: CPU seconds per GiB of raw records, $way" "$(median <"$tmp/cpu")" most 0.15
done
exit $failed
