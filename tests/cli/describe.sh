#!/bin/sh
# `opiml data describe`: Croissant metadata, written and read.
. "$(dirname "$0")/lib.sh"

shapes "$tmp/set" 30 --test 5
opiml data describe "$tmp/set/train"
check "a folder of images" same "$status $(json recordSet.0.field.0.dataType)" "0 sc:ImageObject"
check "what is left out is told" err_has "also wants --license, --url, --creator, --published"
opiml data describe "$tmp/set/train" --out "$tmp/set/train/croissant.json" --name shapes \
    --description "Made shapes" --license https://example.org/license --url https://example.org/ \
    --creator somebody --published 2026-01-31
check "into a file, with all there is to say" same "$status $(wc -c <"$tmp/err")" "0 0"
opiml data describe "$tmp/set/train" --published yesterday
check "a date that is none" fails 2 '--published: "yesterday" is no date as ISO 8601 has it, such as'
cp "$(find "$tmp/set/train" -name '*.jpg' | head -n 1)" "$tmp/set/train/star/more.png"
opiml data describe "$tmp/set/train" --out "$tmp/set/train/croissant.json" --name shapes
opiml data describe "$tmp/set/train/croissant.json"
check "what it describes" out_has "^shapes$"
check "... all of its files" out_has 'files    .*/\*\.jpg,.*/\*\.png (image/jpeg, image/png)'
check "... and how to read it" out_has 'dataset: {uri: ".", format: image-folder}'

"$OPIML" data make table --out "$tmp/rows" --count 20 --fields 4 >/dev/null
opiml data describe "$tmp/rows/train.csv" --out "$tmp/rows/croissant.json"
opiml data describe "$tmp/rows/croissant.json" --json
check "a table: a dataset for a pipeline file" same "$(json files.0.format)" csv
{
    printf 'dataset: '
    json files.0.dataset
} >"$tmp/rows/read.yaml"
opiml data index "$tmp/rows/read.yaml" --json
check "... which reads it" same "$(json records) $(json fields.4.type)" "20 i64"

echo '{"@type": "sc:Dataset"}' >"$tmp/no.json"
opiml data describe "$tmp/no.json"
check "other JSON" fails 2 "no.json: no Croissant metadata"
opiml data describe "$tmp/none.json"
check "no such document" fails 3 "none.json"
opiml data describe "$tmp/nothing"
check "no such dataset" fails 3 "nothing"
finish
