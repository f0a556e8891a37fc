#!/bin/sh
# Tables: what `data make` prints trains as it stands, and predict reads such files again.
. "$(dirname "$0")/lib.sh"

# pasted SPLIT PRINTED: a pipeline file with the dataset line that was printed for the split.
pasted() {
    printf 'opiml: 1\nkind: pipeline\n' >"$tmp/$1.yaml"
    sed -n "s/^  in a pipeline file here: \(dataset: .*$1\..*\)/\1/p" "$2" >>"$tmp/$1.yaml"
    printf 'shuffle: {mode: global}\nbatch: {size: 64, drop_last: true}\n' >>"$tmp/$1.yaml"
}
printf 'opiml: 1\nkind: train\nthreads: 1\ndata: {train: train.yaml, eval: test.yaml}\n' >"$tmp/t.yaml"
printf 'model: {name: mlp, levels: 1, width: 32, classes: 3}\noptimizer: {name: adamw, lr: 0.02}\n' >>"$tmp/t.yaml"
printf 'schedule: {epochs: 4}\nout: run\n' >>"$tmp/t.yaml"

for format in raw csv; do
    rm -rf "$tmp/rows"
    opiml data make table --format $format --out "$tmp/rows" --count 2000 --test 150 --classes 3
    cp "$tmp/out" "$tmp/made"
    pasted train "$tmp/made"
    pasted test "$tmp/made"
    opiml train "$tmp/t.yaml" --overwrite --json
    check "$format: trains as printed" status_is 0
    check "$format: and learns" awk "BEGIN { exit !($(json eval_accuracy) > 0.6) }"
done

# --- predict ---

opiml predict "$tmp/run" "$tmp/rows/test.csv" --top 1 --json
check "predict" status_is 0
cp "$tmp/out" "$tmp/json"
run $python - "$tmp/json" "$tmp/rows/test.csv" <<'PY'
import csv, json, sys
rows = json.load(open(sys.argv[1]))
labels = [int(row["label"]) for row in csv.DictReader(open(sys.argv[2]))]
assert [row["row"] for row in rows] == list(range(150)), "each row once, in its order"
assert all(row["table"] == sys.argv[2] and len(row["classes"]) == 1 for row in rows), rows[0]
right = sum(row["classes"][0]["label"] == label for row, label in zip(rows, labels))
assert right > 90, right
PY
check "predict tells every row" status_is 0
head -n 4 "$tmp/rows/test.csv" | sed 's/,[^,]*$//' >"$tmp/new.csv"
opiml predict "$tmp/run" "$tmp/new.csv" --top 2
check "a table needs no label" same "$(grep -c '^  row [0-2]: [0-2] [0-9.]*%, [0-2] [0-9.]*%$' "$tmp/out")" 3
(cat "$tmp/new.csv" && echo 1,2,3,4,5,6,7,8,9,nan) >"$tmp/bad.csv"
opiml predict "$tmp/run" "$tmp/bad.csv"
check "a row without sound numbers" fails 6 "column \"x9\" is infinite or no number"

# --- columns are known by their names ---

opiml predict "$tmp/run" "$tmp/new.csv" --json
cp "$tmp/out" "$tmp/json"
awk -F, -v OFS=, '{ first = $1; $1 = $4; $4 = first; print }' "$tmp/new.csv" >"$tmp/turned"
mv "$tmp/turned" "$tmp/new.csv"
opiml predict "$tmp/run" "$tmp/new.csv" --json
check "columns in another order are predicted the same" cmp -s "$tmp/out" "$tmp/json"
check "without a note" err_empty
opiml eval "$tmp/run" --json
accuracy=$(json accuracy)
awk -F, -v OFS=, '{ first = $1; $1 = $4; $4 = first; print }' "$tmp/rows/test.csv" >"$tmp/turned"
mv "$tmp/turned" "$tmp/rows/test.csv"
opiml eval "$tmp/run" --json
check "and evaluated the same" same "$(json accuracy)" "$accuracy"
opiml train "$tmp/t.yaml" --resume --epochs 5 --json
check "and in training" awk "BEGIN { exit !($(json eval_accuracy) > $accuracy - 0.1) }"
column=$(head -n 1 "$tmp/new.csv" | cut -d, -f1)
sed 's/^[^,]*,//' "$tmp/new.csv" >"$tmp/narrow.csv"
opiml predict "$tmp/run" "$tmp/narrow.csv"
check "a column that is missing" fails 2 "narrow\.csv has no column \"$column\", which the model has: add"
sed '1s/$/,id/; 2,$s/$/,7/' "$tmp/new.csv" >"$tmp/wide.csv"
opiml predict "$tmp/run" "$tmp/wide.csv"
check "a column too many" fails 2 "wide\.csv has a column \"id\", which the model has not: .*\`select\`"
sed '1s/^[^,]*/other/' "$tmp/new.csv" >"$tmp/other.csv"
opiml predict "$tmp/run" "$tmp/other.csv"
check "a column of another name" fails 2 "no column \"$column\".*\`rename: {from: other, to: $column}\`"
sed '2,$s/^[^,]*/7/' "$tmp/new.csv" >"$tmp/kind.csv"
opiml predict "$tmp/run" "$tmp/kind.csv"
check "a column of another kind" fails 2 "\"$column\" is i64, a category; in the model it is a number.*$column:f32"

# The same without the names, as older versions wrote it.
mkdir "$tmp/old"
run $python - "$tmp/run/checkpoint.safetensors" "$tmp/old/checkpoint.safetensors" <<'PY'
import json, struct, sys
whole = open(sys.argv[1], "rb").read()
length, = struct.unpack("<Q", whole[:8])
header = json.loads(whole[8:8 + length])
assert [column["kind"] for column in json.loads(header["__metadata__"].pop("columns"))] == ["number"] * 10
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
open(sys.argv[2], "wb").write(struct.pack("<Q", len(text)) + text + whole[8 + length:])
PY
check "a checkpoint keeps the columns" status_is 0
opiml predict "$tmp/old" "$tmp/new.csv"
check "an older one predicts" status_is 0
check "with a note" err_has "^opiml: predict: the checkpoint does not say which columns"
opiml eval "$tmp/old"
check "and evaluates with a note" err_has "^opiml: eval: the checkpoint does not say which columns"
opiml predict "$tmp/old" "$tmp/narrow.csv"
check "an older one counts" err_has "rows of 9 numbers and 0 categories, the model of 10 and 0"
opiml predict "$tmp/run" "$tmp/none.csv"
check "a table that is not there" fails 3 "none\.csv"

# --- categories ---

awk 'BEGIN { srand(1); print "a,kind,label"; for (i = 0; i < 400; i++) { k = int(4 * rand())
    printf "%.3f,%d,%d\n", rand(), k, k % 2 } }' >"$tmp/cats.csv"
printf 'opiml: 1\nkind: pipeline\ndataset: {uri: cats.csv, format: csv}\n' >"$tmp/cats.yaml"
printf 'batch: {size: 50}\n' >>"$tmp/cats.yaml"
printf 'opiml: 1\nkind: train\nthreads: 1\ndata: {train: cats.yaml, eval: cats.yaml}\nout: cats\n' >"$tmp/c.yaml"
printf 'model: {name: mlp, levels: 1, width: 8, classes: 2, buckets: 4}\n' >>"$tmp/c.yaml"
printf 'optimizer: {name: adamw, lr: 0.02}\nschedule: {epochs: 1}\n' >>"$tmp/c.yaml"
opiml train "$tmp/c.yaml"
check "trains on a category" status_is 0
check "and says what a row costs" out_has "mlp width 8: [1-9][0-9]* parameters, [1-9][0-9]* multiply-adds a row;"
opiml eval "$tmp/cats" --json
check "no category is outside the buckets" same "$(json outside)" 0
check "and nothing is told of it" err_empty
printf 'kind,a\n1,.5\n5,.5\n-3,.5\n0,.5\n' >"$tmp/some.csv"
opiml predict "$tmp/cats" "$tmp/some.csv"
check "categories outside the buckets are told" err_has "^opiml: predict: 2 rows had a category outside 0 to 3"
check "and taken modulo them" same "$(sed -n 's/.*row [012]: //p' "$tmp/out" | sort -u | grep -c .)" 1
opiml predict "$tmp/cats" "$tmp/some.csv" --json
check "and told of the rows" same "$(json 0.outside | cut -c1-4) $(json 1.outside) $(json 2.outside)" "no 0 true true"
sed -i '2s/,[0-9],/,-2,/' "$tmp/cats.csv"
opiml eval "$tmp/cats" --json
check "and counted by eval" same "$(json outside)" 1

# --- labels ---

sed -i '2s/[^,]*$/7/' "$tmp/rows/train.csv"
opiml train "$tmp/t.yaml" --overwrite
check "a label that is no class" fails 6 "label 7; there are 3 classes"
sed -i '2s/[^,]*$/1.5/' "$tmp/rows/train.csv"
opiml train "$tmp/t.yaml" --overwrite
check "labels with a fraction" fails 2 '"label" is f64.*cast: {field: label, to: i32}'
finish
