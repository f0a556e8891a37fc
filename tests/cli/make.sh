#!/bin/sh
# `opiml data make`: the same bytes from the same seed, in every format, and nothing left of a failure.
. "$(dirname "$0")/lib.sh"

sums() { (cd "$1" && find . -type f | LC_ALL=C sort | xargs cat | cksum); }

# volumes_digest FOLDER FORMAT: what a pipeline reads of made volumes, whole, in any format.
volumes_digest() {
    extension=$(echo "$2" | sed s/nifti/nii/)
    cat >"$tmp/volumes.yaml" <<END
opiml: 1
kind: pipeline
dataset: {uri: $1, format: $2, parts: ["image:images/*.$extension", "label:labels/*.$extension"]}
batch: {size: 2}
END
    feed_digest "$tmp/volumes.yaml" --epochs 1
}

for what in "images image-folder" "images webdataset" "images raw" "table csv" "table raw"; do
    kind=${what% *} format=${what#* }
    opiml data make "$kind" --format "$format" --out "$tmp/a" --count 2500 --test 30 --size 16 --threads 1
    check "$what: makes" status_is 0
    check "$what: says how to use it" out_has "in a pipeline file here: dataset: {uri: $tmp/a/train"
    opiml data make "$kind" --format "$format" --out "$tmp/b" --count 2500 --test 30 --size 16 --threads 4
    check "$what: the same for any number of threads" same "$(sums "$tmp/a")" "$(sums "$tmp/b")"
    rm -rf "$tmp/b"
    opiml data make "$kind" --format "$format" --out "$tmp/b" --count 2500 --test 30 --size 16 --seed 1
    check "$what: another seed, other data" differ "$(sums "$tmp/a")" "$(sums "$tmp/b")"
    rm -rf "$tmp/a" "$tmp/b"
done

for format in nifti npy; do
    opiml data make volumes --format $format --out "$tmp/a" --count 6 --size 24 --threads 1
    check "volumes $format: makes" status_is 0
    check "volumes $format: says how to use it" out_has 'parts: \["image:images/\*\.'
    opiml data make volumes --format $format --out "$tmp/b" --count 6 --test 1 --size 24 --threads 4
    check "volumes $format: the same for any number of threads" same "$(sums "$tmp/a")" "$(sums "$tmp/b")"
    check "volumes $format: a file for each part" same "$(ls "$tmp/a/train/images" | wc -l) $(ls "$tmp/a/test/labels")" \
        "6 000000.$(echo $format | sed s/nifti/nii/)"
    rm -rf "$tmp/b"
    opiml data make volumes --format $format --out "$tmp/b" --count 6 --size 24 --seed 1
    check "volumes $format: another seed, other data" differ "$(sums "$tmp/a")" "$(sums "$tmp/b")"
    check "volumes $format: a digest" same "$(volumes_digest "$tmp/a/train" $format)" \
        46d7ebb0b91704120f03871d2294517e
    rm -rf "$tmp/a" "$tmp/b"
done
opiml data make volumes --out "$tmp/x" --classes 5
check "volumes have few classes" fails 2 "--classes: volumes have 2 to 4"
opiml data make volumes --out "$tmp/x" --size 8
check "volumes are not too small" fails 2 "--size: volumes have 16 to 256"
opiml data make volumes --out "$tmp/x" --format csv
check "volumes are no CSV" fails 2 "there is nifti and npy"

opiml data make images --out "$tmp/set" --count 20 --json
check "--json" same "$(json train) $(json test) $(json format)" "20 4 image-folder"
check "classes are folders" same "$(ls "$tmp/set/train" | tr '\n' ' ')" \
    "arrow crescent cross disc heart hourglass ring square star triangle "
check "records are JPEG files" same \
    "$(head -c 3 "$tmp/set/train/arrow/000000.jpg" | od -An -tx1 | tr -d ' ')" ffd8ff

opiml data make images --out "$tmp/set"
check "never writes over a folder" fails 3 "is there already"
opiml data make images --format csv --out "$tmp/x"
check "images are no CSV" fails 2 "there is image-folder, webdataset and raw"
opiml data make noise --out "$tmp/x"
check "what cannot be made" fails 2 'make what? "images", "table", "payments" or "volumes"'
echo >"$tmp/file"
opiml data make images --out "$tmp/file/x" --count 5
check "a place that cannot be" fails 3 "Not a directory"
check "a place that cannot be is named" err_has "$tmp/file"

small_disk 200k "$OPIML" data make images --out "$tmp/disk/set" --count 2000 >"$tmp/out" 2>"$tmp/err"
status=$?
if [ $status = 77 ]; then
    skip "a full disk" "cannot mount a small one"
else
    check "a full disk" fails 5 "No space left"
    small_disk 200k sh -c "'$OPIML' data make images --out '$tmp/disk/set' --count 2000
        ls -A '$tmp/disk'" >"$tmp/out" 2>/dev/null
    check "nothing is left of it" out_empty
fi

"$OPIML" data make images --out "$tmp/long" --count 3000000 >"$tmp/out" 2>"$tmp/err" &
pid=$!
sleep 0.5
kill -TERM $pid
status=0
wait $pid || status=$?
check "SIGTERM ends it" fails 8 "stopped by SIGTERM"
check "and removes what was made" same "$(ls -d "$tmp"/long* 2>/dev/null | wc -l)" 0
finish
