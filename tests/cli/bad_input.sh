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
head -c 19000 "$tmp/whole.tar" >"$tar"
opiml feed "$tmp/wds.yaml"
check "a truncated tar is no shorter epoch" test $status != 0
check "a truncated tar is named, with the offset" err_has "000000\.tar.*[0-9]"
cp "$tmp/whole.tar" "$tar"
printf 'XXXXXXXX' | dd of="$tar" bs=1 seek=660 conv=notrunc 2>/dev/null
dd if=/dev/urandom of="$tar" bs=512 seek=20 count=2 conv=notrunc 2>/dev/null
opiml feed "$tmp/wds.yaml"
check "a corrupt tar" test $status != 0
check "a corrupt tar is named" err_has "000000\.tar"

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
check "a word among numbers is named, with its place" err_has "train\.csv at offset [0-9]*: .*x1"
printf 'x0,x1,x2,x3,label\n1,2\n' >"$tmp/rows/train.csv"
opiml feed "$tmp/rows.yaml"
check "a row with too few columns" err_has "train\.csv.*[0-9]"
printf 'x0,x1,x2,x3,label\n1,2,3,4,1\n1,"2,3,4,1\n' >"$tmp/rows/train.csv"
opiml feed "$tmp/rows.yaml"
check "a quote without end" err_has "train\.csv.*[0-9]"

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
copy under 1
opiml data index "$tmp/under/train"
echo more >>"$tmp/under/train/star/000008.jpg"
opiml feed "$tmp/under.yaml" --json
check "a file that grew: an error or a new index, no crash" test $status -lt 10

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
if [ "$(id -u)" != 0 ]; then
    copy locked
    chmod 0 "$tmp/locked/train"
    opiml feed "$tmp/locked.yaml"
    check "an unreadable folder" fails 4 "locked"
    chmod 755 "$tmp/locked/train"
else
    skip "an unreadable folder" "root may read everything"
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
: >"$tmp/y.yaml"
opiml feed "$tmp/y.yaml"
check "an empty file" fails 2 "y.yaml"
head -c 3000 /dev/urandom >"$tmp/y.yaml"
opiml feed "$tmp/y.yaml"
check "noise" fails 2 "y.yaml"
opiml feed "$tmp/good.yaml" --json
check "--json has the error too" same "$(json error.code) $(json error.exit)" "ENOENT 3"
finish
