#!/bin/sh
# `opiml data convert`: records from one format into another.
. "$(dirname "$0")/lib.sh"

# same_data A B: the same files with the same bytes; an index beside them has times in it.
same_data() {
    diff -r --exclude '.opiml-index*' "$1" "$2" >"$tmp/err" 2>&1
}

shapes "$tmp/set" 90 --test 10
opiml data convert "$tmp/set/train" "$tmp/tars" --format webdataset --shard-records 7 --json --threads 1
check "a folder of images as archives" same "$(json records) $(json shards) $(json checked)" "90 13 true"
digest=$(json digest)
opiml data ls "$tmp/tars/dataset.yaml"
check "dataset.yaml reads it" same "$(wc -l <"$tmp/out")" 90
opiml data convert "$tmp/set/train" "$tmp/tars4" --format webdataset --shard-records 7 --threads 4
check "four threads" status_is 0
check "... write the same bytes" same_data "$tmp/tars" "$tmp/tars4"
opiml data convert "$tmp/tars" "$tmp/rows.jsonl" --json
check "one file, by its name" same "$(json format) $(json shards) $(json digest | wc -c)" "jsonl 1 33"
opiml data convert "$tmp/tars" "$tmp/rows.jsonl"
check "which is not replaced" fails 3 "rows.jsonl is there already; --overwrite replaces it"
opiml data convert "$tmp/tars" "$tmp/rows.jsonl" --overwrite
check "... unless it may" status_is 0
printf 'dataset: {uri: rows.jsonl, fields: ["image:u8:*", "label:i32"]}\n' >"$tmp/rows.yaml"
opiml data convert "$tmp/rows.yaml" "$tmp/back" --format webdataset --shard-records 7 --json
check "and back: the same records" same "$(json digest)" "$digest"
check "... and bytes of all archives" cmp -s "$tmp/tars/000003.tar" "$tmp/back/000003.tar"
opiml data convert "$tmp/set/train" "$tmp/folder" --format image-folder --json
check "a folder as a folder" same "$(json records)" 90
check "... with its classes" test -f "$tmp/folder/star/000000072.jpg"
opiml data convert "$tmp/set/train" "$tmp/records" --format tfrecord
check "names of classes go beside numbers" out_has "note: labels are numbers; label.labels.txt there"
check "... a line each" same "$(sed -n 9p "$tmp/records/label.labels.txt")" star
echo precious >"$tmp/records/mine.labels.txt"
opiml data convert "$tmp/set/train" "$tmp/records" --format tfrecord --overwrite
check "a file that is only named like it stays" fails 3 "records/mine.labels.txt is not of a conversion"
check "... with what is in it" same "$(cat "$tmp/records/mine.labels.txt")" precious
rm "$tmp/records/mine.labels.txt"
opiml data convert "$tmp/set/train" "$tmp/records" --format tfrecord --overwrite
check "... and its own does not hinder" status_is 0
printf 'a,b\n1,0.1\n' >"$tmp/wide.csv"
opiml data convert "$tmp/wide.csv" "$tmp/wide.tfrecord"
check "f64 in TFRecord is told" out_has 'note: "b" of type f64 went as raw bytes.*types: \["NAME:f32"\]'

printf 'a,b\n1,"x,y"\n2,z\n' >"$tmp/table.csv"
opiml data convert "$tmp/table.csv" "$tmp/table.tsv"
check "a table in tabs, by its name" same "$(sed -n 2p "$tmp/table.tsv")" "1	x,y"
opiml data ls "$tmp/table.tsv"
check "... which reads back" out_has "b=x,y"

opiml data convert "$tmp/set/train" "$tmp/x"
check "a name that tells no format" fails 2 "say which with --format: csv, hdf5, image-folder"
opiml data convert "$tmp/set/train" "$tmp/x" --format gif
check "no such format" fails 2 '"gif" is no format that is written'
opiml data convert "$tmp/set/train" "$tmp/a.npz" --format csv --fields label
check "a name of another format" fails 2 "a.npz: the name is of format npz, and --format says csv"
check "... of which nothing is made" absent "$tmp/a.npz"
opiml data convert "$tmp/set/train" "$tmp/a.npz/" --format csv --fields label
check "... unless a folder is meant" test -f "$tmp/a.npz/dataset.yaml"
opiml data convert "$tmp/set/train" "$tmp/y.csv" --fields label --shard-records 7
check "one file has no shards" fails 2 "y.csv: --shard-records cuts a folder into shards, and this is one file"
opiml data convert "$tmp/set/train" "$tmp/y.csv" --fields label --shard-bytes 7
check "... of so many bytes either" fails 2 "y.csv: --shard-bytes cuts a folder"
opiml data convert "$tmp/set/train" "$tmp/x" --format raw
check "a field that does not fit, and what to do" fails 2 'field "image" (u8 \*).*--fields leaves it out'
opiml data convert "$tmp/set/train" "$tmp/x" --format nifti --fields label
check "... or has no dimensions" fails 2 'field "label" (i32): a volume has dimensions, and this is a single number; npz and tfrecord take it$'
opiml data convert "$tmp/set/train" "$tmp/x" --format raw --fields label
check "... which does" status_is 0
opiml data convert "$tmp/set/train" "$tmp/y.csv" --fields label,labels
check "no such field" fails 2 'no field "labels"; there are image, label'
opiml data convert "$tmp/set/train" "$tmp/y.csv" --fields label --set delimiter=dot
check "an option's wrong value" fails 2 "takes comma, tab or semicolon"
opiml data convert "$tmp/set/train" "$tmp/y.csv" --fields label --set color=red
check "an option that there is not" fails 2 '--set: unknown key "color"; it takes '
opiml data convert "$tmp/set/train" "$tmp/y.csv" --fields label --set delimeter=tab
check "... but one like it" fails 2 '--set: unknown key "delimeter"; did you mean "delimiter"'
opiml data convert "$tmp/set/train" "$tmp/y.csv"
check "images as cells, and what to do" fails 6 'record 0 (.*jpg): field "image": bytes that are no text.*--fields leaves it out'
check "... which leaves no file" absent "$tmp/y.csv"
opiml data convert "$tmp/set/train" "$tmp/set/train/sub" --format webdataset
check "not into the source" fails 2 "lies within the source"
opiml data convert "$tmp/tars/00000{1..3}.tar" "$tmp/tars-more" --format webdataset --json
check "files of a pattern" same "$(json records)" 21
opiml data convert "$tmp/*.jsonl" "$tmp/rows-more" --format tfrecord --json
check "... and beside them" same "$(json records)" 90
opiml data convert "$tmp/no-such" "$tmp/x" --format csv
check "no such source" err_has "^opiml: data convert: /.*/no-such: No such file"
mkdir "$tmp/taken" && echo text >"$tmp/taken/a"
opiml data convert "$tmp/set/train" "$tmp/taken" --format webdataset --overwrite
check "not into a folder of other things" fails 3 "holds other things"
opiml data convert "$tmp/set/train" "$tmp/tars" --format webdataset
check "not into another conversion" fails 3 "a conversion with another --shard-records; --overwrite starts over, and another folder keeps it"
mkdir "$tmp/tars/mine"
echo precious >"$tmp/tars/mine/notes.txt"
opiml data convert "$tmp/set/train" "$tmp/tars" --format webdataset --overwrite
check "nor in place of other files" fails 3 "tars/mine/notes.txt is not of a conversion"
check "... which stay" test -f "$tmp/tars/mine/notes.txt" -a -f "$tmp/tars/000003.tar"
rm -r "$tmp/tars/mine"
opiml data convert "$tmp/set/train" "$tmp/tars" --format webdataset --overwrite
check "... unless it may" status_is 0

# A kill at any moment, then the same call again.
"$OPIML" data make table --out "$tmp/table" --count 40000 --fields 4 >/dev/null
for format in raw tfrecord npz; do
    opiml data convert "$tmp/table/train.csv" "$tmp/whole" --format $format --shard-records 1000 --no-check
    check "$format: all at once" status_is 0
    kills=0
    for delay in 0.02 0.05 0.08 0.12 0.2; do
        "$OPIML" data convert "$tmp/table/train.csv" "$tmp/killed" --format $format \
            --shard-records 1000 >/dev/null 2>&1 &
        pid=$!
        sleep $delay
        if kill -9 $pid 2>/dev/null; then kills=$((kills + 1)); fi
        wait $pid 2>/dev/null
    done
    opiml data convert "$tmp/table/train.csv" "$tmp/killed" --format $format --shard-records 1000 --json
    check "$format: killed, gone on with, read back" same "$status $(json records)" "0 40000"
    check "$format: the same bytes after $kills kills" same_data "$tmp/whole" "$tmp/killed"
    rm -rf "$tmp/whole" "$tmp/killed"
done

# One file has its name when it is whole and compared; the same call does, whenever it was stopped.
opiml data convert "$tmp/table/train.csv" "$tmp/good.npz" --set records=row
check "one file" status_is 0
for delay in 0.05 0.15 0.25; do
    "$OPIML" data convert "$tmp/table/train.csv" "$tmp/one.npz" --set records=row --overwrite \
        >/dev/null 2>&1 &
    pid=$!
    sleep $delay
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    check "killed: no file, or all of it" test ! -e "$tmp/one.npz" -o \
        "$(cmp "$tmp/good.npz" "$tmp/one.npz" 2>&1)" = ""
    rm -f "$tmp/one.npz"
done
opiml data convert "$tmp/table/train.csv" "$tmp/one.npz" --set records=row
check "... and the same call makes it" cmp -s "$tmp/good.npz" "$tmp/one.npz"
check "... and leaves nothing else" absent "$tmp/.one.npz.converting"

# One of many files changed in place, which the index does not look at each time.
shapes "$tmp/many" 300 --test 10
find "$tmp/many/train" -exec touch -d "1 minute ago" {} +
opiml data index "$tmp/many/train"
image=$(find "$tmp/many/train" -name '*.jpg' | sort | sed -n 2p)
cat "$image" "$image" >"$tmp/longer.jpg" && cp "$tmp/longer.jpg" "$image"
opiml data convert "$tmp/many/train" "$tmp/many/to" --format image-folder
check "a file that was changed is taken as it is now" cmp -s "$tmp/longer.jpg" \
    "$(find "$tmp/many/to" -name 000000001.jpg)"

# Damage.
cp -r "$tmp/back" "$tmp/damaged"
printf 'x' | dd of="$tmp/damaged/000002.tar" bs=1 seek=6000 conv=notrunc 2>/dev/null
opiml data convert "$tmp/rows.yaml" "$tmp/damaged" --format webdataset --shard-records 7
check "a byte that changed since is found" fails 6 "shard 2 reads back as other records"
opiml data convert "$tmp/rows.yaml" "$tmp/damaged" --format webdataset --shard-records 7
check "... and written anew" status_is 0
check "... as it was" cmp -s "$tmp/back/000002.tar" "$tmp/damaged/000002.tar"
sed '20s/.*/{"image": "oh", "label": no}/' "$tmp/rows.jsonl" >"$tmp/bad.jsonl"
printf 'dataset: {uri: bad.jsonl, fields: ["image:u8:*", "label:i32"]}\n' >"$tmp/bad.yaml"
opiml data convert "$tmp/bad.yaml" "$tmp/x.tfrecord"
check "a bad record ends it, and is named" fails 6 "record 19 (.*bad.jsonl at offset.*; --budget leaves such"
check "... and leaves no file" absent "$tmp/x.tfrecord"
opiml data convert "$tmp/bad.yaml" "$tmp/x.tfrecord" --budget 0.02 --json
check "a budget leaves it out" same "$(json records) $(json skipped)" "89 1"
opiml data convert "$tmp/bad.yaml" "$tmp/y.tfrecord" --budget 1 --json
check "... which from 1 on is a count" same "$(json records) $(json skipped)" "89 1"
sed '21s/.*/{"image": "oh", "label": no}/' "$tmp/bad.jsonl" >"$tmp/worse.jsonl"
sed 's/bad.jsonl/worse.jsonl/' "$tmp/bad.yaml" >"$tmp/worse.yaml"
opiml data convert "$tmp/worse.yaml" "$tmp/z.tfrecord" --budget 1
check "... and no more are left out" fails 6 "more than 1 bad record, which is the budget"
printf '{"image": "oh", "label": 1}\n' >>"$tmp/rows.jsonl"
opiml data convert "$tmp/rows.yaml" "$tmp/pictures" --format webdataset
check "what the format cannot hold ends it, and is named" fails 6 "record 90 (.*rows.jsonl at offset [0-9]*): field \"image\": neither a JPEG.*; --budget leaves such"
opiml data convert "$tmp/rows.yaml" "$tmp/pictures" --format webdataset --budget 0.02 --json
check "... and a budget leaves it out" same "$(json records) $(json skipped)" "90 1"
printf '{"image": "oh", "label": 1}\n' >"$tmp/none.jsonl"
sed 's/rows.jsonl/none.jsonl/' "$tmp/rows.yaml" >"$tmp/none.yaml"
opiml data convert "$tmp/none.yaml" "$tmp/nothing" --format webdataset --budget 1
check "where no record is left it says so, and why" fails 6 "no record is left: all 1 are bad; .*neither a JPEG"

# Where writing fails.
if [ "$(id -u)" != 0 ]; then
    mkdir "$tmp/closed" && chmod 555 "$tmp/closed"
    opiml data convert "$tmp/tars" "$tmp/closed/to" --format npz
    check "a folder that cannot be written" fails 4 "closed"
fi
opiml data convert "$tmp/table/train.csv" "/proc/opiml-no-such/to" --format raw
check "no place for a folder" fails 3 "/proc/opiml-no-such"
(
    ulimit -f 100
    trap '' XFSZ
    run "$OPIML" data convert "$tmp/table/train.csv" "$tmp/limited.bin" --format raw
    echo "$status" >"$tmp/limited.status"
)
status=$(cat "$tmp/limited.status")
check "a file that may not grow" fails 5 "limited.bin: writing at"
check "... leaves nothing" absent "$tmp/.limited.bin.partial"
run small_disk 512k "$OPIML" data convert "$tmp/table/train.csv" "$tmp/disk/to" --format tfrecord --shard-records 1000
if [ "$status" = 77 ]; then
    skip "a full disk" "no mounts here"
else
    check "a full disk" fails 5 "to/0000[0-9]*.tfrecord: writing at"
fi
finish
