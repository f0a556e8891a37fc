#!/bin/sh
# `opiml data ls|peek|index`: what is in a data set.
. "$(dirname "$0")/lib.sh"

shapes "$tmp/set" 50 --test 10
opiml data ls "$tmp/set/train"
check "ls: a line a record" same "$(wc -l <"$tmp/out")" 50
check "ls: keys and classes" out_has "^star/0000[0-9]8.*label=8 (star)"
opiml data ls "$tmp/set/train" --from 48 --limit 10
check "ls --from --limit" same "$(wc -l <"$tmp/out")" 2
opiml data ls "$tmp/set/train" --from 50
check "ls --from past the end" fails 2 "--from 50: .*/set/train has only 50 records, from 0"
opiml data ls "$tmp/set/train" --json --limit 3
check "ls --json: an object a line" $python -c '
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
assert [r["record"] for r in rows] == [0, 1, 2], rows
assert all(r["fields"]["label"] == 0 and r["bytes"] > 100 for r in rows), rows' "$tmp/out"
$python -c 'import random; open("'"$tmp"'/noise", "wb").write(random.Random(3).randbytes(100000))'
for extension in csv jsonl tar tfrecord npy npz nii safetensors; do
    cp "$tmp/noise" "$tmp/noise.$extension"
    opiml data ls "$tmp/noise.$extension"
    check "noise as $extension is damaged data" fails 6 "noise.$extension"
done
printf 'bytes' >"$tmp/x.bin"
for verb in ls peek index describe; do
    opiml data $verb "$tmp/x.bin"
    check "$verb: a name that tells no format" fails 2 "x.bin: the format is not clear.*; say which with --format: image-folder, "
done
opiml data index "$tmp/x.bin" --format tokens
check "index: what no option says a pipeline file does" fails 2 \
    "how many make a sequence, which takes a pipeline file: dataset: {uri: ..., format: tokens, length: 1024}"
opiml data index "$tmp/x.bin" --format raw
check "... of raw too" fails 2 'which takes a pipeline file: dataset: {uri: ..., format: raw, fields: \['
opiml data convert "$tmp/x.bin" "$tmp/to" --format csv
check "convert: the option is another" fails 2 "say which with --from-format: image-folder, "
printf 'dataset: {uri: x.bin}\n' >"$tmp/x.yaml"
opiml data ls "$tmp/x.yaml"
check "in a pipeline file it is a key" fails 2 "x.yaml:1:10: .*; say which with format: image-folder, "
opiml data ls "$tmp/nothing"
check "ls of nothing" fails 3 "nothing"

opiml data peek "$tmp/set/train" 17
check "peek: where it lies" out_has "at  file:///.*set/train/.*jpg"
check "peek: its image" out_has "image of 32 x 32 pixels"
opiml data peek "$tmp/set/train" star/000008 --width 16
check "peek by key, drawn" same "$(grep -c '▀' "$tmp/out")" 8
opiml data peek "$tmp/set/train" star/000008 --json
check "peek --json" same "$(json key) $(json image.width) $(json fields.1.name)" "star/000008 32 label"
opiml data peek "$tmp/set/train" 5 --png "$tmp/x.png"
check "peek --png: a PNG file with good sums" $python - "$tmp/x.png" <<'PY'
import struct, sys, zlib
data = open(sys.argv[1], "rb").read()
assert data[:8] == b"\x89PNG\r\n\x1a\n"
at, chunks = 8, {}
while at < len(data):
    size, = struct.unpack(">I", data[at:at + 4])
    kind, body = data[at + 4:at + 8], data[at + 8:at + 8 + size]
    assert struct.unpack(">I", data[at + 8 + size:at + 12 + size])[0] == zlib.crc32(kind + body)
    chunks[kind] = body
    at += 12 + size
assert struct.unpack(">IIBB", chunks[b"IHDR"][:10]) == (32, 32, 8, 2)
assert len(zlib.decompress(chunks[b"IDAT"])) == 32 * (32 * 3 + 1)
PY
mkdir -p "$tmp/pngs/a"
cp "$tmp/x.png" "$tmp/pngs/a/1.png"
opiml data peek "$tmp/pngs" --png "$tmp/y.png"
check "a PNG read and written again is the same" cmp -s "$tmp/x.png" "$tmp/y.png"
opiml data peek "$tmp/set/train" 50
check "peek past the end" fails 3 "no record 50: there are 50"
opiml data peek "$tmp/set/train" no/such
check "peek at no such key" fails 3 'no record has the key "no/such"'
opiml data peek "$tmp/set/train" 1 --png "$tmp/nowhere/x.png"
check "peek --png where there is no folder" fails 3 "nowhere"

"$OPIML" data make table --out "$tmp/rows" --count 20 --classes 3 --fields 4 >/dev/null
opiml data peek "$tmp/rows/train.csv" 3
check "peek at a CSV row" out_has "label .*i64"
opiml data peek "$tmp/rows/train.csv" 3 --png "$tmp/z.png"
check "a row has no image" fails 2 "no image"
printf 'opiml: 1\nkind: pipeline\ndataset: {uri: rows/train.csv}\nbatch: {size: 1}\n' >"$tmp/rows.yaml"
opiml data peek "$tmp/rows.yaml" --format raw
check "a pipeline file says the format" fails 2 "rows\.yaml: .*the format itself: leave out --format"
opiml data peek "$tmp/rows.yaml" --format auto
check "... which may be found by looking" status_is 0
opiml data ls "$tmp/rows/train.csv" --json
check "ls of a CSV file" same "$(wc -l <"$tmp/out")" 20

printf 'datasets: [{uri: set/train}, {uri: set/test, weight: 2}]\n' >"$tmp/mix.yaml"
for verb in ls peek index describe; do
    opiml data $verb "$tmp/mix.yaml"
    check "$verb: several datasets are not one" fails 2 \
        'mix.yaml: it mixes 2 datasets, and one is meant: give each a pipeline file of its own'
done
opiml data convert "$tmp/mix.yaml" "$tmp/mix.npz"
check "convert: nor is the first of them written" fails 2 "mix.yaml: it mixes 2 datasets"
check "... to any file" absent "$tmp/mix.npz"
printf 'datasets: [{uri: set/test}]\n' >"$tmp/mix.yaml"
opiml data ls "$tmp/mix.yaml"
check "a list of one is one" same "$(wc -l <"$tmp/out")" 10

opiml data index "$tmp/set/train" --json
check "index: an index" same "$(json records) $(json format) $(json classes)" "50 image-folder 10"
print=$(json fingerprint)
check "index: nothing is left out" same "$(json left_out)" 0
opiml data index "$tmp/set/train" --rebuild --json
check "index --rebuild" same "$(json fingerprint)" "$print"
opiml data index "$tmp/set/train" --check
check "index --check" status_is 0
cp -r "$tmp/set/train" "$tmp/copy"
opiml data index "$tmp/copy" --json
check "a copy has the same fingerprint" same "$(json fingerprint)" "$print"
cp "$tmp/set/train/star/000008.jpg" "$tmp/copy/star/x.jpg"
opiml data index "$tmp/copy" --json
check "a file more is noticed" same "$(json records)" 51
check "and changes the fingerprint" differ "$(json fingerprint)" "$print"
touch "$tmp/copy/star/a.webp" "$tmp/copy/star/b.webp" "$tmp/copy/ring/c.GIF" "$tmp/copy/README"
for again in "when it is built" "and from the index"; do
    opiml data index "$tmp/copy"
    check "what the format does not take is told, $again" out_has \
        "left out     4 files of other kinds: .webp (2), .gif (1), others (1)"
done

# --- records that are perhaps not those that were meant ---

opiml data index "$tmp/set"
check "a folder above the classes" out_has "hint  *no class has images of its own, only folders of them, such as t[a-z]*/[a-z]*; if those"
opiml data index "$tmp/set" --json
check "... in JSON" same "$(json hint | cut -c1-33)" "no class has images of its own, o"
opiml data ls "$tmp/set"
check "... beside the list" err_has "^opiml: data ls: no class has images of its own"
opiml data ls "$tmp/set/train"
check "no hint without a reason" err_empty
opiml data convert "$tmp/rows/train.csv" "$tmp/rows/all.npz" --set records=row
opiml data index "$tmp/rows/all.npz"
check "a table of arrays as one record" out_has "hint  *all is one record; for a record of each of the 20 rows, .*records: row"
printf 'dataset: {uri: all.npz, records: row}\n' >"$tmp/rows/all.yaml"
opiml data index "$tmp/rows/all.yaml" --json
check "... which it is not when it says so" same "$(json records) $(json hint)" "20 null"
finish
