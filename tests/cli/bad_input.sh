#!/bin/sh
# Bad input gets an error that names file and place, and nothing is lost.
. "$(dirname "$0")/lib.sh"

shapes "$tmp/good" 40 --test 0

# copy NAME: a fresh set and its pipeline, with a budget of one bad record.
copy() {
    rm -rf "${tmp:?}/$1"
    cp -r "$tmp/good" "$tmp/$1"
    pipeline "$tmp/$1.yaml" "$1/train" "errors: {budget: ${2:-0}}"
}

# --- records ---

# damage NAME COMMAND WHAT: within the budget a hole, beyond it a failure that names the file.
damage() {
    copy "$1" 1
    file=$tmp/$1/train/star/000008.jpg
    eval "$2"
    opiml feed "$tmp/$1.yaml" --json --digest
    check "$3: within the budget the run goes on" status_is 0
    [ -n "${OPIML_SANITIZED:-}" ] || check "$3: is no work of the data path" same "$(json allocations)" 0
    check "$3: one hole" same "$(json samples) $(json errors)" "39 1"
    check "$3: the record is named" out_has 'star/000008\.jpg.*: '
    check "$3: once on standard error" same "$(grep -c 'bad record: .*star/000008\.jpg' "$tmp/err")" 1
    digest=$(json digest)
    check "$3: the same holes with 1 thread" same "$(feed_digest "$tmp/$1.yaml" --threads 1)" "$digest"
    copy "$1" 0
    eval "$2"
    opiml feed "$tmp/$1.yaml"
    check "$3: beyond the budget" status_is 6
    check "$3: the list of what was bad" err_has 'bad record: .*star/000008\.jpg'
    check "$3: and the end" err_has '^opiml: feed: .*bad'
}
damage cut 'head -c 700 "$tmp/good/train/star/000008.jpg" >"$file"' "a truncated JPEG"
damage empty ': >"$file"' "an empty JPEG"
damage text 'yes "not a picture" | head -c 1000 >"$file"' "text called .jpg"
damage png 'printf "\211PNG\r\n\032\n" >"$file"; head -c 500 /dev/zero >>"$file"' "a PNG of zeroes"
damage noise '$python -c "
import sys
data = bytearray(open(sys.argv[1], \"rb\").read())
for i in range(len(data) // 2, len(data) - 20, 7):
    data[i] = 0xff
open(sys.argv[1], \"wb\").write(data)" "$file"' "a corrupt JPEG"

# A PNG that was cut.
mkdir -p "$tmp/pngs/a" "$tmp/pngs/b"
for i in 1 2 3; do
    "$OPIML" data peek "$tmp/good/train" $i --png "$tmp/pngs/a/$i.png" >/dev/null
    cp "$tmp/pngs/a/$i.png" "$tmp/pngs/b/$i.png"
done
head -c 2000 "$tmp/pngs/a/1.png" >"$tmp/pngs/b/2.png"
pipeline "$tmp/pngs.yaml" pngs "errors: {budget: 1}"
opiml feed "$tmp/pngs.yaml" --json
check "a truncated PNG is a hole" same "$(json samples) $(json errors)" "5 1"
check "a truncated PNG is named" err_has "b/2\.png"

# --- containers ---

shapes "$tmp/wds" 40 --test 0 --format webdataset
pipeline "$tmp/wds.yaml" wds/train
opiml feed "$tmp/wds.yaml" --json
check "a good tar" same "$(json samples)" 40
tar=$tmp/wds/train/000000.tar
cp "$tar" "$tmp/whole.tar"

# member N WHAT: of the whole archive's member N (from 0) its header's offset, data's offset or size.
member() {
    $python -c 'import sys, tarfile
print(getattr(tarfile.open(sys.argv[1]).getmembers()[int(sys.argv[2])], sys.argv[3]))' \
        "$tmp/whole.tar" "$1" "$2"
}
# zero OFFSET BLOCKS: wipe out blocks of the archive.
zero() {
    dd if=/dev/zero of="$tar" bs=512 seek=$(($1 / 512)) count="$2" conv=notrunc 2>/dev/null
}
# tar_fails NAME OFFSET MESSAGE: it is refused, whatever the budget, and put right again.
tar_fails() {
    opiml feed "$tmp/wds.yaml"
    check "$1: no shorter epoch" fails 6 "/000000\.tar at offset $2: $3"
    cp "$tmp/whole.tar" "$tar"
}
pipeline "$tmp/wds.yaml" wds/train "errors: {budget: 1}"
head -c $(($(member 30 offset_data) + 100)) "$tmp/whole.tar" >"$tar"
tar_fails "a tar cut within a member" "$(member 30 offset_data)" \
    "the archive ends within its member .*, after 100 of $(member 30 size) bytes"
head -c $(($(member 30 offset) + 100)) "$tmp/whole.tar" >"$tar"
tar_fails "a tar cut within a header" "$(member 30 offset)" "the archive ends within a header"
head -c "$(member 40 offset)" "$tmp/whole.tar" >"$tar"
tar_fails "a tar cut between members" "$(member 40 offset)" "the archive stops without its end mark"
zero "$(member 40 offset)" 1
tar_fails "a header of zeros" "$(member 40 offset)" \
    "zeros instead of a header, but data again at offset $(member 40 offset_data)"
zero "$(member 40 offset)" $((($(member 42 offset) - $(member 40 offset)) / 512))
tar_fails "a sample of zeros" "$(member 40 offset)" \
    "zeros instead of a header, but data again at offset $(member 42 offset)"
head -c "$(member 41 offset)" "$tmp/whole.tar" >"$tar"
truncate -s 3M "$tar"
tar_fails "a download that stopped" "$(member 41 offset)" "zeros instead of a header, and more of them"
: >"$tar"
tar_fails "an empty tar" 0 "the archive stops without its end mark"
printf 'XXXXXXXX' | dd of="$tar" bs=1 seek=$(($(member 1 offset) + 148)) conv=notrunc 2>/dev/null
tar_fails "a damaged checksum" "$(member 1 offset)" "a damaged header"
dd if=/dev/urandom of="$tar" bs=512 seek=$(($(member 20 offset) / 512)) count=2 conv=notrunc 2>/dev/null
tar_fails "noise in a tar" "$(member 20 offset)" "a damaged header"
cat "$tmp/whole.tar" >>"$tar"
tar_fails "two archives in one file" "[0-9]*" "zeros instead of a header, but data again at offset"

# Archives of other programs are whole.
mkdir "$tmp/unpacked"
tar -xf "$tmp/whole.tar" -C "$tmp/unpacked"
for format in gnu ustar pax v7; do
    tar -cf "$tar" --format=$format --sort=name -C "$tmp/unpacked" .
    opiml feed "$tmp/wds.yaml" --json
    check "an archive of tar --format=$format" same "$(json samples) $(json errors)" "40 0"
done
$python -c 'import sys, tarfile
with tarfile.open(sys.argv[1], "w") as archive:
    archive.add(sys.argv[2], "", filter=None)' "$tar" "$tmp/unpacked"
opiml feed "$tmp/wds.yaml" --json
check "an archive of Python" same "$(json samples) $(json errors)" "40 0"
photographs=$root/../shared/data/imagenet-sample-250.tar
if [ -f "$photographs" ]; then
    opiml data index "file://$photographs" --format webdataset --json
    check "an archive from elsewhere" same "$(json records)" 250
else
    skip "an archive from elsewhere" "no ../shared/data"
fi

"$OPIML" data make table --out "$tmp/rows" --count 20 --classes 3 --fields 4 >/dev/null
{
    printf 'opiml: 1\nkind: pipeline\ndataset:\n  uri: rows/train.csv\n  format: csv\n'
    printf '  types: ["x0:f32", "x1:f32", "x2:f32", "x3:f32", "label:i32"]\n'
    printf 'batch: {size: 4}\nerrors: {budget: 1}\n'
} >"$tmp/rows.yaml"
opiml feed "$tmp/rows.yaml" --json
check "a good CSV file" same "$(json samples)" 20
sed '7s/,.*,/,abc,def,1,/' "$tmp/rows/train.csv" >"$tmp/bad.csv"
cp "$tmp/bad.csv" "$tmp/rows/train.csv"
opiml feed "$tmp/rows.yaml" --json
check "a word among numbers is a bad record" same "$(json samples) $(json errors)" "19 1"
check "a word among numbers is named, with its place" err_has \
    "/train\.csv at offset $(head -n 6 "$tmp/bad.csv" | wc -c): line 7, column \"x1\": \"abc\" is no f32"
printf 'x0,x1,x2,x3,label\n1,2,3,4,1\n1,2\n' >"$tmp/rows/train.csv"
opiml feed "$tmp/rows.yaml"
check "a row with too few columns" err_has "/train\.csv at offset 28: line 3 has 2 cells instead of 5"
printf 'x0,x1,x2,x3,label\n1,2,3,4,1\n1,"2,3,4,1\n' >"$tmp/rows/train.csv"
opiml feed "$tmp/rows.yaml"
check "a quote without end" fails 6 "/train\.csv at offset 28 (line 3): the file ends within a quoted cell"
printf 'x0,x1,x2,x3,label\n1,2,3,4,1\n1,"2"x,3,4,1\n' >"$tmp/rows/train.csv"
opiml feed "$tmp/rows.yaml"
check "text behind a quote" err_has "/train\.csv at offset 28: line 3, cell 2: text after the closing"

# --- the index and what changes under it ---

copy shrunk
opiml feed "$tmp/shrunk.yaml" --digest --json
before=$(json digest)
rm "$tmp/shrunk/train/star/000008.jpg"
opiml feed "$tmp/shrunk.yaml" --digest --json
check "a file less is noticed: another set, indexed anew" same "$(json samples)" 39
check "with another digest" differ "$(json digest)" "$before"
copy grown
opiml feed "$tmp/grown.yaml" --limit 16 --json
token=$(json resume)
cp "$tmp/good/train/star/000008.jpg" "$tmp/grown/train/star/more.jpg"
opiml feed "$tmp/grown.yaml" --resume "$token"
check "a token of the set as it was" test $status != 0
check "says that the data changed" err_has "token\|dataset\|changed"

# other FILE: another picture of exactly as many bytes, on standard output.
other() {
    $python -c 'import os, sys
want = os.path.getsize(sys.argv[1])
for folder, _, names in os.walk(sys.argv[2]):
    for name in sorted(names):
        data = open(os.path.join(folder, name), "rb").read()
        if name.endswith(".jpg") and len(data) < want:
            sys.stdout.buffer.write(data + bytes(want - len(data)))
            sys.exit()' "$1" "$tmp/good/train"
}
change() { # change WHAT FILE
    case $1 in
    delete) rm "$2" ;;
    replace) other "$2" >"$2.new" && mv "$2.new" "$2" ;;
    rewrite) other "$2" | dd of="$2" conv=notrunc 2>/dev/null ;;
    grow) echo more >>"$2" ;;
    pipe) rm "$2" && mkfifo "$2" ;;
    esac
}
picture=$(ls -S "$tmp/good/train/star" | head -n 1)
for what in replace rewrite grow; do
    copy under
    # Old enough for an index of it to be trusted.
    find "$tmp/under" -exec touch -d "1 hour ago" {} +
    opiml feed "$tmp/under.yaml" --digest --json
    before=$(json digest)
    change $what "$tmp/under/train/star/$picture"
    opiml feed "$tmp/under.yaml" --digest --json
    check "$what a file between runs: read as it is now" same "$(json samples) $(json errors)" "40 0"
    [ $what = grow ] || check "$what: with another digest" differ "$(json digest)" "$before"
done
for way in uring pread; do
    for what in delete replace rewrite grow pipe; do
        copy under
        status=0
        rm -f "$tmp/state"
        OPIML_IO=$([ $way = uring ] || echo pread) timeout 60 "$OPIML" feed "$tmp/under.yaml" \
            --epochs 1000000 --state "$tmp/state" >"$tmp/out" 2>"$tmp/err" &
        until [ -s "$tmp/state" ] || ! kill -0 $! 2>/dev/null; do
            sleep 0.02
        done
        change $what "$tmp/under/train/star/$picture"
        wait $! || status=$?
        pattern="star/$picture: changed since it was indexed"
        # One that was open already tells by its times that it went.
        [ $what != delete ] || pattern="star/$picture: \(No such file\|changed since\)"
        [ $what != pipe ] || pattern="star/$picture: "
        check "$what a file while it is fed ($way): a bad record" status_is 6
        check "$what ($way): the file is named" err_has "bad record: .*$pattern"
        [ $what = delete ] || [ $what = pipe ] || check "$what ($way): what to do about it" err_has \
            "opiml data index .* --check"
    done
done

# --- limits ---

copy few
pipeline "$tmp/few.yaml" few/train "errors: {budget: 0.9}"
# shellcheck disable=SC2016
run sh -c 'ulimit -n 24; exec "$OPIML" feed "$1" --digest --epochs 3' sh "$tmp/few.yaml"
check "no descriptors left: nothing is lost" sh -c '[ "$1" = 0 ] || grep -q "open files" "$2"' sh \
    "$status" "$tmp/err"
check "and no record is blamed" sh -c '! grep -q "bad record" "$1"' sh "$tmp/err"
# shellcheck disable=SC2016
run sh -c 'ulimit -f 1; exec "$OPIML" data make images --out "$1" --count 40 --size 64' sh "$tmp/big"
check "a limit on files' sizes" sh -c '[ "$1" -lt 128 ] && [ "$1" != 0 ] && [ -s "$2" ]' sh \
    "$status" "$tmp/err"

# --- places ---

pipeline "$tmp/none.yaml" no/such/place
opiml feed "$tmp/none.yaml"
check "a folder that is not there" fails 3 "no/such/place"
echo >"$tmp/file"
pipeline "$tmp/file.yaml" file/train
opiml feed "$tmp/file.yaml"
check "a folder below a file" fails 3 "file/train"
mkdir -p "$tmp/hollow/a" "$tmp/hollow/b"
pipeline "$tmp/hollow.yaml" hollow
opiml feed "$tmp/hollow.yaml"
check "no records at all" test $status != 0
check "no records: the folder is named" err_has "hollow"
opiml feed "$tmp/nothing.yaml"
check "no pipeline file" fails 3 "nothing.yaml"
opiml feed "$tmp"
check "a folder for a pipeline file" test $status != 0
check "a folder for a pipeline file is named" err_has "$tmp"
# Root may read everything, so that somebody else has to try.
somebody=
if [ "$(id -u)" = 0 ]; then
    chmod 711 "$tmp"
    somebody="setpriv --reuid=65534 --regid=65534 --clear-groups"
fi
if $somebody "$OPIML" version >/dev/null 2>&1; then
    copy locked
    chmod 0 "$tmp/locked/train"
    run $somebody "$OPIML" feed "$tmp/locked.yaml"
    check "an unreadable folder" fails 4 "/locked/train/*: .*[Pp]ermission denied"
    chmod 755 "$tmp/locked/train"
    chmod 0 "$tmp/locked/train/star"
    run $somebody "$OPIML" feed "$tmp/locked.yaml"
    check "an unreadable class" fails 4 "/locked/train/star: .*[Pp]ermission denied"
    chmod 755 "$tmp/locked/train/star"
    chmod 0 "$tmp/locked/train/star/000008.jpg"
    run $somebody "$OPIML" feed "$tmp/locked.yaml"
    check "an unreadable file" status_is 6
    check "an unreadable file is named" err_has "star/000008\.jpg: .*[Pp]ermission denied"
    chmod 0 "$tmp/whole.tar"
    run $somebody "$OPIML" data index "$tmp/whole.tar"
    check "an unreadable archive" fails 4 "/whole\.tar: .*[Pp]ermission denied"
    chmod 0 "$tmp/locked.yaml"
    run $somebody "$OPIML" feed "$tmp/locked.yaml"
    check "an unreadable pipeline file" fails 4 "/locked\.yaml: .*[Pp]ermission denied"
else
    skip "unreadable places" "nobody may run the program here"
fi

# --- YAML ---

# yaml PATTERN LINE...: a pipeline file of these lines fails with the pattern.
yaml() {
    pattern=$1
    shift
    printf '%s\n' "$@" >"$tmp/y.yaml"
    opiml feed "$tmp/y.yaml"
    check "YAML: $pattern" fails 2 "y\.yaml:$pattern"
}
data='dataset: {uri: good/train}'
batch='batch: {size: 4}'
ops='ops: [{decode: {}}, {center_crop: {size: [8, 8]}}]'
yaml '4:1: .*did you mean "batch"' 'opiml: 1' 'kind: pipeline' "$data" 'bach: {size: 4}' "$ops"
yaml '6:5: .*no operator "decod"; did you mean "decode"' 'opiml: 1' 'kind: pipeline' "$data" "$batch" \
    'ops:' '  - decod: {}'
yaml '7:19: .*did you mean "size"' 'opiml: 1' 'kind: pipeline' "$data" "$batch" 'ops:' '  - decode: {}' \
    '  - center_crop: {sizes: [8, 8]}'
yaml '4:15: ' 'opiml: 1' 'kind: pipeline' "$data" 'batch: {size: many}' "$ops"
yaml '4:15: ' 'opiml: 1' 'kind: pipeline' "$data" 'batch: {size: 0}' "$ops"
yaml '2:7: ' 'opiml: 1' 'kind: pipline' "$data" "$batch" "$ops"
yaml '1:8: ' 'opiml: 2' 'kind: pipeline' "$data" "$batch" "$ops"
yaml '[56]:[0-9]*: ' 'opiml: 1' 'kind: pipeline' "$data" "$batch" 'ops: [decode: {'
yaml '[0-9]*:[0-9]*: .*batch' 'opiml: 1' 'kind: pipeline' "$data" "$ops"
yaml '[0-9]*:[0-9]*: .*dataset' 'opiml: 1' 'kind: pipeline' "$batch" "$ops"
yaml '5:[0-9]*: .*differ in shape' 'opiml: 1' 'kind: pipeline' "$data" "$batch" 'ops: [{decode: {}}]'
yaml '3:[0-9]*: .*' 'opiml: 1' 'kind: pipeline' 'dataset: {uri: good/train, format: image-folders}' \
    "$batch" "$ops"
printf 'a,b,label\n1,2,0\n3,,1\n' >"$tmp/cells.csv"
cells='dataset: {uri: cells.csv, types: ["label:i32"]}'
printf '%s\n' 'opiml: 1' 'kind: pipeline' "$cells" "$batch" >"$tmp/cells.yaml"
printf '%s\n' 'opiml: 1' 'kind: train' 'data: {train: cells.yaml}' 'model: {name: mlp, classes: 2}' \
    'optimizer: {name: sgd, lr: 0.1}' 'schedule: {name: constant, epochs: 1}' 'out: run' >"$tmp/cells-train.yaml"
opiml train "$tmp/cells-train.yaml"
check "an empty cell: its column is named" fails 6 'cells.csv at offset [0-9]*: column "b" is infinite or no number there, as an empty cell is'
printf 'a,b,label\n1,2,cat\n3,4,dog\n' >"$tmp/cells.csv"
yaml '3:10: column "label" holds texts, such as "cat" (file:.*/cells.csv:2).*class.s number.*select.*"label:f32"' \
    'opiml: 1' 'kind: pipeline' 'dataset: {uri: cells.csv}' "$batch"
printf 'a,b,label\n1,7,0\n3,42,1\n' >"$tmp/cells.csv"
yaml '3:10: rows of "b" differ in length .*select; where its texts are numbers, types' 'opiml: 1' 'kind: pipeline' \
    'dataset: {uri: cells.csv, types: ["b:text"]}' "$batch"
: >"$tmp/y.yaml"
opiml feed "$tmp/y.yaml"
check "an empty file" fails 2 "y.yaml"
head -c 3000 /dev/urandom >"$tmp/y.yaml"
opiml feed "$tmp/y.yaml"
check "noise" fails 2 "y.yaml"
opiml feed "$tmp/good.yaml" --json
check "--json has the error too" same "$(json error.code) $(json error.exit)" "ENOENT 3"
finish
