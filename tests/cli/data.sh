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
opiml data ls "$tmp/rows/train.csv" --json
check "ls of a CSV file" same "$(wc -l <"$tmp/out")" 20

opiml data index "$tmp/set/train" --json
check "index: an index" same "$(json records) $(json format) $(json classes)" "50 image-folder 10"
print=$(json fingerprint)
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
finish
