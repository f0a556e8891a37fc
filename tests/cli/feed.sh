#!/bin/sh
# `opiml feed`: what it reports, and one digest whatever the threads, ranks, cuts and parts.
. "$(dirname "$0")/lib.sh"

shapes "$tmp/data" 200 --test 37
pipeline "$tmp/p.yaml" data/train

opiml feed "$tmp/p.yaml" --digest --json
check "feeds" status_is 0
check "samples" same "$(json samples)" 200
check "batches" same "$(json batches)" 13
check "no errors" same "$(json errors) $(json dropped) $(json bad)" "0 0 []"
check "digest" same "$(json digest | wc -c)" 33
check "resume" same "$(json resume | cut -c1-7)" opiml1-
whole=$(json digest)
check "reports on the run" $python - "$tmp/out" <<'PY'
import json, sys
r = json.load(open(sys.argv[1]))
assert r["samples_per_s"] > 0 and r["elapsed_s"] > 0, r
assert r["bytes_read"] > 200 * 500 and r["bytes_delivered"] >= 200 * 24 * 24 * 3, r
assert 0 < r["first_batch_s"] <= r["elapsed_s"], r
assert 0 < r["pool"]["peak_bytes"] <= r["pool"]["bytes"], r
assert r["rss"] > 0 and r["allocations"] >= 0 and r["wait_s"] >= 0, r
names = [s["name"] for s in r["stations"]]
assert len(names) >= 4 and any("decode" in n for n in names), names
for s in r["stations"]:
    assert set(s) >= {"name", "rows", "bytes", "busy_s", "wait_s", "threads", "utilisation"}, s
assert sum(s["rows"] == 200 for s in r["stations"]) >= 3, r["stations"]
PY

opiml feed "$tmp/p.yaml"
check "text has the samples" out_has "200 samples in"
check "text has the stations" out_has "^station .*utilisation"
check "text has a verdict" out_has "^bottleneck: "
opiml feed "$tmp/p.yaml" --epochs 60
check "a bottleneck has a name" out_has "^bottleneck: [a-z_]*:"
opiml feed "$tmp/p.yaml" --limit 1
check "a run of one batch has none" out_has "^bottleneck: the run was too short to tell"
check "... nor a mark" same "$(grep -c '<$' "$tmp/out")" 0
check "... and counts in the singular" out_has "in 1 batch$"
opiml feed "$tmp/p.yaml" --limit 1 --json
check "... in JSON, too" same "$(json bottleneck)" null
check "no progress line in a pipe" err_empty

for threads in 1 2 8; do
    check "the digest of $threads threads" same "$(feed_digest "$tmp/p.yaml" --threads $threads)" "$whole"
done
for world in 2 4; do
    parts=
    rank=0
    while [ $rank -lt $world ]; do
        parts="$parts $(feed_digest "$tmp/p.yaml" --rank $rank --world $world)"
        rank=$((rank + 1))
    done
    # shellcheck disable=SC2086
    check "the digests of $world ranks add up" same "$(add_digests $parts)" "$whole"
done
check "a small pool gives the same" same "$(feed_digest "$tmp/p.yaml" --pool 64MiB)" "$whole"

# Parts.
opiml feed "$tmp/p.yaml" --limit 64 --digest --json
check "--limit stops" same "$(json samples)" 64
token=$(json resume)
opiml feed "$tmp/p.yaml" --resume "$token" --digest --json
check "--resume goes on" same "$(json samples)" 136
check "and ends at the whole's digest" same "$(json digest)" "$whole"
opiml feed "$tmp/p.yaml" --resume "$token" --digest --json --threads 1
check "with other threads too" same "$(json digest)" "$whole"
sed 's/seed: 7/seed: 8/' "$tmp/p.yaml" >"$tmp/q.yaml"
check "another seed, another digest" differ "$(feed_digest "$tmp/q.yaml")" "$whole"
opiml feed "$tmp/q.yaml" --resume "$token"
check "a token of another pipeline is refused" test "$status" != 0
check "and says why" err_has "token"
opiml feed "$tmp/p.yaml" --resume opiml1-123
check "a cut token" fails 2 "token"
opiml feed "$tmp/p.yaml" --resume "opiml1-$(echo "${token#opiml1-}" | tr 0123 1230)"
check "a damaged token" fails 6 "token"

# Epochs.
two=$(feed_digest "$tmp/p.yaml" --epochs 2)
check "two epochs" same "$(json samples)" 400
check "differ from one" differ "$two" "$whole"
check "two epochs, other threads" same "$(feed_digest "$tmp/p.yaml" --epochs 2 --threads 3)" "$two"

# The state file.
opiml feed "$tmp/p.yaml" --limit 96 --state "$tmp/state" --digest --json
check "--state writes the token" same "$(cat "$tmp/state")" "$(json resume)"
opiml feed "$tmp/p.yaml" --state "$tmp/state" --digest --json
check "--state goes on" same "$(json samples) $(json digest)" "104 $whole"
[ -n "${OPIML_SANITIZED:-}" ] || check "and is no work of the data path" same "$(json allocations)" 0
opiml feed "$tmp/p.yaml" --state "$tmp/state" --digest --json
check "at the end there is nothing left" same "$(json samples) $(json digest)" "0 $whole"
opiml feed "$tmp/p.yaml" --state "$tmp/state" --resume "$token"
check "--state and --resume exclude each other" fails 2 "both say"
echo nonsense >"$tmp/state"
opiml feed "$tmp/p.yaml" --state "$tmp/state"
check "a state file with something else" fails 2 "token"
opiml feed "$tmp/p.yaml" --state "$tmp/nowhere/state"
check "a state file that cannot be" fails 3 "nowhere"
small_disk 4k sh -c "head -c 8192 /dev/zero >'$tmp/disk/fill'
    exec '$OPIML' feed '$tmp/p.yaml' --state '$tmp/disk/state'" >"$tmp/out" 2>"$tmp/err"
status=$?
if [ $status = 77 ]; then
    skip "a full disk under the state file" "cannot mount a small one"
else
    check "a full disk under the state file" fails 5 "No space left"
fi

# Signals: what was delivered is reported, the state is written.
pipeline "$tmp/long.yaml" data/train
for signal in INT TERM; do
    # A job in the background ignores SIGINT: ask for the default again.
    env --default-signal=INT "$OPIML" feed "$tmp/long.yaml" --epochs 0 --state "$tmp/$signal" --json \
        >"$tmp/out" 2>"$tmp/err" &
    pid=$!
    tries=0
    until [ -s "$tmp/$signal" ] || [ $tries = 100 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    kill -$signal $pid
    status=0
    wait $pid || status=$?
    check "SIG$signal ends it" fails 8 "stopped by SIG$signal"
    check "SIG$signal: the report is there" same "$(json error.code)" ECANCELED
    check "SIG$signal: the state is the last" same "$(cat "$tmp/$signal")" "$(json resume)"
done

# Every format of the same images.
shapes "$tmp/wds" 200 --test 0 --format webdataset
pipeline "$tmp/wds.yaml" wds/train
check "a WebDataset gives the same digest as the folder" same "$(feed_digest "$tmp/wds.yaml")" "$whole"

# Every way to read: with io_uring, with plain reads where it is not wanted or not allowed, through
# the page cache or past it. Records of 3075 bytes behind 7 lie across all borders.
$python -c 'import random, sys
random.seed(7)
for i in range(3):
    open("%s/%d.bin" % (sys.argv[1], i), "wb").write(random.randbytes(7 + 3075 * 100))' "$tmp"
rows() { # rows DIRECT
    printf 'opiml: 1\nkind: pipeline\nseed: 3\nshuffle: {mode: global}\nbatch: {size: 8}\n'
    printf 'dataset:\n  uri: "%s/{0..2}.bin"\n  format: raw\n  header_bytes: 7\n' "$tmp"
    printf '  fields: ["x:u8:3x32x32", "y:u8:3"]\n  direct: %s\n' "$1"
}
rows false >"$tmp/cached.yaml"
rows true >"$tmp/direct.yaml"
sed 's/{uri: /{direct: true, uri: /' "$tmp/p.yaml" >"$tmp/p-direct.yaml"
rows_digest=$(feed_digest "$tmp/cached.yaml")
check "records of fixed size" same "$(json samples) $(json errors)" "300 0"
# forbid COMMAND...: run it where the kernel refuses io_uring and openat2, as containers do.
forbid() {
    $python -c 'import ctypes, os, struct, sys
# Load the number of the call; EPERM for io_uring_setup and openat2, leave for the rest.
code = [(0x20, 0, 0, 0), (0x15, 1, 0, 425), (0x15, 0, 1, 437), (6, 0, 0, 0x50001), (6, 0, 0, 0x7fff0000)]
filters = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in code))
program = struct.pack("HxxxxxxQ", len(code), ctypes.addressof(filters))
prctl = ctypes.CDLL(None, use_errno=True).prctl
if prctl(38, 1, 0, 0, 0) or prctl(22, 2, program, 0, 0):
    sys.exit(77)
os.execv(sys.argv[1], sys.argv[1:])' "$@"
}
forbidden=
if forbid "$OPIML" version >/dev/null 2>&1; then
    forbidden=forbidden
    export OPIML_IO=uring
    run forbid "$OPIML" feed "$tmp/cached.yaml"
    unset OPIML_IO
    check "io_uring that is asked for and forbidden" fails 9 "io_uring is not to be had here"
else
    skip "io_uring that is asked for and forbidden" "this machine has no system call filters"
fi
for way in uring pread $forbidden; do
    case $way in
    uring) how= ;;
    pread) how="env OPIML_IO=pread" ;;
    forbidden) how=forbid ;;
    esac
    for pages in cached direct; do
        for threads in 1 4; do
            run $how "$OPIML" feed "$tmp/$pages.yaml" --threads $threads --digest --json
            check "$way, $pages, $threads threads: the same records" same "$(json digest)" "$rows_digest"
        done
    done
    run $how "$OPIML" feed "$tmp/p-direct.yaml" --digest --json
    check "$way, direct: the same images" same "$(json digest)" "$whole"
done

# How the same bytes are read is part of what is kept of them, and of a token.
printf 'name,label\n"a",1\nb,2\n"a",3\n' >"$tmp/quoted.csv"
for quote in '"' "'"; do
    for cache in ram disk; do
        printf 'opiml: 1\nkind: pipeline\ndataset: {uri: quoted.csv, quote: "\\x%02x"}\n' "'$quote" \
            >"$tmp/q.yaml"
        printf 'ops:\n  - cache: {in: %s, bytes: 1MiB}\n  - filter: {where: "name == \\"a\\""}\n' $cache \
            >>"$tmp/q.yaml"
        printf '  - select: {fields: [label]}\nbatch: {size: 1}\n' >>"$tmp/q.yaml"
        opiml feed "$tmp/q.yaml" --digest --json
        eval "q_$cache=$(json digest) n_$cache=$(json samples)"
    done
    check "a cache of cells in $quote" same "$q_disk $n_disk" "$q_ram $n_ram"
    [ "$quote" = "'" ] || token=$(json resume)
done
opiml feed "$tmp/q.yaml" --resume "$token"
check "a token of other quotes" fails 2 "another pipeline"

# Data that changed are told as such, also when an epoch's length goes with them.
shapes "$tmp/changed" 40 --test 0
pipeline "$tmp/c.yaml" changed/train
opiml feed "$tmp/c.yaml" --limit 16 --json
token=$(json resume)
rm "$(find "$tmp/changed/train" -name '*.jpg' | head -n 1)"
opiml feed "$tmp/c.yaml" --resume "$token"
check "a token of other data" fails 6 "the dataset of .* changed since"

# Rows that do not leave their reader: a bad one is a hole there too, and is named.
shapes "$tmp/tars" 40 --test 0 --format webdataset
$python - "$tmp"/tars/train/*.tar <<'PY'
import sys, tarfile
with tarfile.open(sys.argv[1]) as tar:
    label = [member for member in tar if member.name.endswith(".cls")][3]
with open(sys.argv[1], "r+b") as tar:
    tar.seek(label.offset_data)
    tar.write(b"?")
PY
printf 'opiml: 1\nkind: pipeline\ndataset: {uri: tars/train}\nops: [select: {fields: [label]}]\n' >"$tmp/l.yaml"
printf 'batch: {size: 8}\nerrors: {budget: 1}\n' >>"$tmp/l.yaml"
opiml feed "$tmp/l.yaml" --json
check "a bad row in its reader" same "$status $(json samples) $(json errors)" "0 39 1"
check "is named" out_has 'tars/train/.*the label .*?.* is no whole number'

# One file, named by the user, may be a link to anywhere.
mkdir "$tmp/elsewhere" "$tmp/here"
printf 'x,label\n1,2\n3,4\n' >"$tmp/elsewhere/x.csv"
ln -s ../elsewhere/x.csv "$tmp/here/linked.csv"
printf 'opiml: 1\nkind: pipeline\ndataset: {uri: here/linked.csv}\nbatch: {size: 1}\n' >"$tmp/l.yaml"
opiml feed "$tmp/l.yaml" --json
check "a linked file is read" same "$(json samples)" 2

# Tables that are separated in two ways are read in the first one's.
printf '1,2\n3,4\n' >"$tmp/t-a.csv"
printf '5,6\n7,8\n' >"$tmp/t-b.tsv"
printf 'opiml: 1\nkind: pipeline\ndataset: {uri: "t-*", format: csv, columns: [x, y]}\nbatch: {size: 1}\n' \
    >"$tmp/t.yaml"
opiml feed "$tmp/t.yaml" --json
check "the first table's delimiter is everybody's" same "$(json samples) $(json errors)" "4 0"
finish
