#!/bin/sh
# Train, evaluate and predict with a network of a few thousand weights on a few dozen images.
. "$(dirname "$0")/lib.sh"

shapes "$tmp/data" 70 --test 28 --classes 7

# images NAME URI [LINE...]: a pipeline file of normalised images; LINEs stand behind the operators.
images() {
    images_name=$1 images_uri=$2
    shift 2
    {
        printf 'opiml: 1\nkind: pipeline\nseed: 7\nthreads: 1\ndataset: {uri: "%s"}\n' "$images_uri"
        printf 'shuffle: {mode: global}\nops:\n  - decode: {}\n  - resize: {size: [8, 8]}\n'
        printf '  - normalize: {to: f32, layout: nchw}\n'
        for images_line in "$@"; do
            printf '%s\n' "$images_line"
        done
        printf 'batch: {size: 16}\n'
    } >"$tmp/$images_name.yaml"
}

# training NAME EPOCHS [TRAIN [EVAL [WIDTH]]]: a training file; the pipelines are a.yaml and b.yaml.
training() {
    {
        printf 'opiml: 1\nkind: train\nseed: 3\nthreads: 1\nkernels: plain\n'
        printf 'data: {train: %s.yaml, eval: %s.yaml}\n' "${3:-a}" "${4:-b}"
        printf 'model: {name: resnet, depth: 8, width: %s}\n' "${5:-4}"
        printf 'optimizer: {lr: 0.05}\nschedule: {epochs: %s}\nout: runs/%s\n' "$2" "$1"
    } >"$tmp/t-$1.yaml"
}
weights=checkpoint.safetensors

# metadata KEY FILE: what a checkpoint says of itself.
metadata() {
    $python - "$1" "$2" <<'PY'
import json, struct, sys
with open(sys.argv[2], "rb") as file:
    length, = struct.unpack("<Q", file.read(8))
    print(json.loads(file.read(length))["__metadata__"][sys.argv[1]])
PY
}

images a data/train
images b data/test

# --- a whole run ---

training whole 3
opiml train "$tmp/t-whole.yaml" --json
check "a run" status_is 0
check "is silent but for its JSON" err_empty
cp "$tmp/out" "$tmp/json"
run $python - "$tmp/json" <<'PY'
import json, sys
r = json.load(open(sys.argv[1]))
assert r["step"] == 3 * 5 and r["epoch"] == 3, r
assert len(r["epochs"]) == 3 and [e["epoch"] for e in r["epochs"]] == [1, 2, 3], r
for e in r["epochs"] + [r]:
    assert 0 < e["loss"] < 20 and 0 <= e["accuracy"] <= 1, e
    assert 0 < e["eval_loss"] < 1000 and 0 <= e["eval_accuracy"] <= 1, e
    assert e["errors"] == 0 and e["dropped"] == 0 and e["samples_per_s"] > 0, e
    assert 0 < e["utilisation"] <= 1 and e["elapsed_s"] > 0 and e["lr"] >= 0, e
assert "resnet depth 8, mean pool, width 4" in r["model"], r
assert r["checkpoint"].endswith("runs/whole/checkpoint.safetensors"), r
assert r["bad"] == [] and r["error"] is None, r
PY
check "its JSON" status_is 0
opiml train "$tmp/t-whole.yaml" --out "$tmp/again"
check "as text" out_has '^epoch   3/3  loss [0-9.]*  accuracy .*  eval loss .* samples/s  trainer .* busy'
check "and where the checkpoint lies" out_has "^checkpoint: $tmp/again/$weights"
check "the same bits each time" cmp "$tmp/runs/whole/$weights" "$tmp/again/$weights"
check "classes are counted" same "$(metadata classes "$tmp/again/$weights")" 7

# --- evaluate, predict ---

opiml train "$tmp/t-whole.yaml" --out "$tmp/again"
check "a trained model is not replaced unasked" fails 3 "there is a trained model already.*--overwrite"
opiml train "$tmp/t-whole.yaml" --out "$tmp/again" --resume --overwrite
check "nor replaced and gone on with" fails 2 "--resume goes on with the checkpoint that --overwrite throws away"
opiml train "$tmp/t-whole.yaml" --out "$tmp/again" --resume
check "a run that is done says so" out_has "epoch 3 of 3 was done already; --epochs trains on"
opiml train "$tmp/t-whole.yaml" --resume --epochs 2
check "... also when less was asked for" out_has "epoch 2 of 2 was done already; --epochs trains on"
opiml train "$tmp/t-whole.yaml" --out "$tmp/again" --overwrite --json
accuracy=$(json eval_accuracy)
opiml eval "$tmp/again" --json
check "eval says what training said" same "$(json accuracy) $(json samples)" "$accuracy 28"
check "eval misses nothing" same "$(json errors) $(json dropped) $(json bad)" "0 0 []"
opiml eval "$tmp/again/$weights"
check "eval of a file, as text" out_has 'accuracy [0-9.]*%, loss [0-9.]* over 28 samples'

picture=$tmp/data/test/star/000012.jpg
[ -f "$picture" ] || picture=$(find "$tmp/data/test" -name '*.jpg' | sort | head -n 1)
opiml predict "$tmp/again" "$picture" "$picture" --json
check "predict" status_is 0
cp "$tmp/out" "$tmp/json"
run $python - "$tmp/json" "$picture" <<'PY'
import json, sys
r = json.load(open(sys.argv[1]))
assert len(r) == 2 and r[0] == r[1] and r[0]["image"] == sys.argv[2], r
p = [c["probability"] for c in r[0]["classes"]]
assert len(p) == 5 and p == sorted(p, reverse=True) and 0 < p[-1] and sum(p) <= 1.00001, p
assert len({c["class"] for c in r[0]["classes"]}) == 5, r
assert all(0 <= c["label"] < 7 for c in r[0]["classes"]), r
PY
check "five classes, the likeliest first" status_is 0
opiml predict "$tmp/again" "$picture"
check "predict as text" same "$(head -n 1 "$tmp/out") $(wc -l <"$tmp/out")" "$picture 6"
check "in falling order" test "$(sed -n 's/^ *\([0-9.]*\)%  [a-z]*$/\1/p' "$tmp/out" | sort -C -g -r && echo yes)" = yes
check "of at most 100 %" same "$(sed -n 's/^ *\([0-9.]*\)%.*/\1/p' "$tmp/out" |
    awk '{ sum += $1 } END { print NR, (sum > 1 && sum < 100.05) }')" "5 1"
opiml predict "$tmp/again" "$picture" --top 99
check "no more than there are" same "$(wc -l <"$tmp/out")" 8
head -c 400 "$picture" >"$tmp/cut.jpg"
opiml predict "$tmp/again" "$tmp/cut.jpg"
check "a truncated image" fails 6 "cut\.jpg: "
yes text | head -c 300 >"$tmp/text.jpg"
opiml predict "$tmp/again" "$tmp/text.jpg"
check "no image at all" fails 6 "text\.jpg: "
opiml predict "$tmp/again" "$tmp/none.jpg"
check "an image that is not there" fails 3 "none\.jpg"

opiml predict "$tmp/again" "$tmp/text.jpg" "$picture" "$tmp/none.jpg"
check "bad ones do not keep others from it" fails 6 "2 of 3 files could not be predicted"
check "each of them is told" err_has "none\.jpg: No such file"
check "and the good one predicted" out_has "^$picture"
opiml predict "$tmp/again" "$tmp/text.jpg" "$picture" --json
check "in JSON too" same "$(json 0.error | grep -c "text\.jpg: ") $(json 1.image)" "1 $picture"
cat >"$tmp/pixels.yaml" <<'YAML'
opiml: 1
kind: pipeline
dataset: {uri: pixels.bin, format: raw, fields: ["image:u8:8x8x3", "label:i32"]}
ops: [{normalize: {to: f32, layout: nchw}}]
batch: {size: 2}
YAML
head -c 392 /dev/zero >"$tmp/pixels.bin"
opiml predict "$tmp/again" "$picture" --data "$tmp/pixels.yaml"
check "a pipeline of pixels" fails 2 "pixels.yaml reads pixels, where predict has image files"
mv "$tmp/b.yaml" "$tmp/away.yaml"
opiml predict "$tmp/again" "$picture"
check "the run's own pipeline is gone" fails 3 "b\.yaml: .*; name a pipeline file with --data, such as: opiml predict $tmp/again $picture --data "
opiml eval "$tmp/again"
check "eval says so too" fails 3 "b\.yaml: .*with --data, such as: opiml eval $tmp/again --data "
mv "$tmp/away.yaml" "$tmp/b.yaml"

# --- stopped, killed, resumed ---

# Long enough to be stopped on the way.
epochs=50
[ -z "${OPIML_SANITIZED:-}" ] || epochs=12
training long $epochs
sed -i 's/, eval: b.yaml//' "$tmp/t-long.yaml"
opiml train "$tmp/t-long.yaml" --out "$tmp/whole"
check "a longer run" status_is 0

# start OUT [OPTION...]: the longer run in the background, until it has done some epochs.
start() {
    rm -f "$tmp/log"
    "$OPIML" train "$tmp/t-long.yaml" --out "$@" >"$tmp/log" 2>"$tmp/err" &
    pid=$!
    for _ in $(seq 1 1000); do
        ! grep -q '^epoch   [3-9]' "$tmp/log" || break
        kill -0 $pid 2>/dev/null || break
        sleep 0.02
    done
}

for verb in "predict $tmp/whole $picture" "eval $tmp/whole"; do
    # shellcheck disable=SC2086
    opiml $verb
    check "${verb%% *} without evaluation data" fails 2 "without evaluation data; .*: opiml $verb --data "
done

start "$tmp/stopped"
kill -TERM $pid
status=0
wait $pid || status=$?
check "SIGTERM ends it" fails 8 "stopped at step [0-9]*; go on with --resume"
check "in the middle" test "$(metadata step "$tmp/stopped/$weights")" -lt $((5 * epochs))
check "at the step of the message" err_has "stopped at step $(metadata step "$tmp/stopped/$weights");"
opiml train "$tmp/t-long.yaml" --out "$tmp/stopped" --resume
check "it goes on" status_is 0
check "to the same weights" cmp "$tmp/stopped/$weights" "$tmp/whole/$weights"

start "$tmp/killed"
kill -KILL $pid
wait $pid 2>/dev/null
check "killed, it leaves the last epoch" same "$(($(metadata step "$tmp/killed/$weights") % 5))" 0
opiml train "$tmp/t-long.yaml" --out "$tmp/killed" --resume --json
check "it goes on from there" status_is 0
check "to the same weights too" cmp "$tmp/killed/$weights" "$tmp/whole/$weights"
opiml train "$tmp/t-long.yaml" --out "$tmp/fresh" --resume
check "nothing to resume" fails 3 "fresh/$weights"

# --- checkpoints ---

training wide 3 a b 6
opiml train "$tmp/t-wide.yaml" --from "$tmp/again"
check "a model of another shape" fails 2 "$weights: tensor \"conv1.weight\" is \[4, 3, 3, 3\], the model's is \[6"
images small data/test
sed -i 's/\[8, 8\]/[6, 6]/' "$tmp/small.yaml"
opiml eval "$tmp/again" --data "$tmp/small.yaml"
check "images of another size" fails 2 "small\.yaml gives images of 3 × 6 × 6"

# doctor KEY VALUE: the checkpoint with another number in its metadata.
doctor() {
    $python - "$tmp/again/$weights" "$tmp/hostile" "$1" "$2" <<'PY'
import json, struct, sys
data = open(sys.argv[1], "rb").read()
length, = struct.unpack("<Q", data[:8])
header = json.loads(data[8:8 + length])
header["__metadata__"][sys.argv[3]] = sys.argv[4]
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
open(sys.argv[2], "wb").write(struct.pack("<Q", len(text)) + text + data[8 + length:])
PY
}
for change in "depth 4294967294" "depth 3000000002" "width 4294967295" "classes 0" "height 99999"; do
    # shellcheck disable=SC2086
    doctor $change
    run timeout 20 "$OPIML" eval "$tmp/hostile"
    check "a checkpoint of $change" fails 6 "hostile: .*describe no model"
done
doctor width 1000
run timeout 20 "$OPIML" predict "$tmp/hostile" "$picture"
check "a checkpoint of more weights than it has" fails 2 "hostile: tensor"
head -c 3000 "$tmp/again/$weights" >"$tmp/hostile"
opiml eval "$tmp/hostile"
check "a truncated checkpoint" fails 6 "hostile: "
opiml eval "$tmp/a.yaml"
check "no checkpoint" fails 6 "a\.yaml: "

# A disk with room for one checkpoint: the second, written beside the first, finds it full.
# shellcheck disable=SC2016
run small_disk 100k sh -c '"$1" train "$2/t-whole.yaml" --out "$2/disk" --epochs 1 >/dev/null || exit 1
    cp "$2/disk/$3" "$2/before"
    "$1" train "$2/t-whole.yaml" --out "$2/disk" --resume; status=$?
    cp "$2/disk/$3" "$2/after"
    ls "$2/disk" >"$2/left"
    exit $status' sh "$OPIML" "$tmp" $weights
if [ "$status" = 77 ]; then
    skip "a full disk" "this machine mounts nothing for us"
else
    check "a full disk" fails 5 "$weights.*[Nn]o space"
    check "keeps the checkpoint as it was" cmp "$tmp/before" "$tmp/after"
    check "and nothing else" same "$(cat "$tmp/left")" $weights
fi

# --- data ---

images empty data/train '  - filter: {where: "label > 50"}'
training empty 2 empty
opiml train "$tmp/t-empty.yaml"
check "zero samples" fails 3 "empty\.yaml: .*no sample"
check "leave no checkpoint" absent "$tmp/runs/empty/$weights"
images some data/train '  - filter: {where: "label != 2"}'
training some 1 some
opiml train "$tmp/t-some.yaml" --json
check "what filters leave out is counted" same "$(json epochs.0.dropped) $(json errors)" "10 0"

cp -r "$tmp/data/train" "$tmp/dented"
head -c 400 "$picture" >"$tmp/dented/star/bad1.jpg"
head -c 300 "$picture" >"$tmp/dented/disc/bad2.jpg"
images dented dented 'errors: {budget: 2}'
training dented 2 dented
opiml train "$tmp/t-dented.yaml" --json
check "bad records within the budget" status_is 0
check "are counted in each epoch" same "$(json epochs.0.errors) $(json epochs.1.errors)" "2 2"
check "are part of the JSON" out_has '"file://.*star/bad1\.jpg'
check "are listed once" same "$(grep -c '^opiml: train: bad record: .*/bad[12]\.jpg' "$tmp/err")" 2
opiml train "$tmp/t-dented.yaml" --overwrite
check "stand on the epoch's line" out_has '^epoch   2/2 .*  2 bad records$'
images over dented 'errors: {budget: 1}'
training over 2 over
opiml train "$tmp/t-over.yaml"
check "bad records beyond the budget" fails 6 "2 bad records in epoch 0; errors.budget allows 1"
check "are all listed" same "$(grep -c 'bad record: .*/bad[12]\.jpg' "$tmp/err")" 2
check "leave no checkpoint" absent "$tmp/runs/over/$weights"
opiml eval "$tmp/again" --data "$tmp/dented.yaml"
check "eval lists them too" same "$(grep -c '^opiml: eval: bad record: ' "$tmp/err")" 2
check "and counts them" out_has "2 bad records"
opiml eval "$tmp/again" --data "$tmp/over.yaml"
check "eval beyond the budget" fails 6 "errors.budget allows 1"

# Another class folder moves all the labels behind it.
cp -r "$tmp/data/test" "$tmp/moved"
mkdir "$tmp/moved/ant"
cp "$picture" "$tmp/moved/ant"
images moved moved
training moved 1 a moved
opiml train "$tmp/t-moved.yaml"
check "classes of the evaluation differ" fails 2 "moved\.yaml: class 0 is \"ant\"; in .*a\.yaml it is \"crescent\""
opiml eval "$tmp/again" --data "$tmp/moved.yaml"
check "classes of the model differ" fails 2 "moved\.yaml: class 0 is \"ant\"; in the model it is \"crescent\""

# --- mistakes in the file ---

# mistake SED PATTERN: the training file, edited, fails with the pattern.
mistake() {
    sed "$1" "$tmp/t-whole.yaml" >"$tmp/m.yaml"
    opiml train "$tmp/m.yaml"
    check "YAML: $2" fails 2 "m\.yaml:$2"
}
mistake 's/^optimizer/optimiser/' '8:1: .*did you mean "optimizer"'
mistake 's/depth/detph/' '7:23: .*did you mean "depth"'
mistake 's/resnet/resnte/' '7:15: .*did you mean "resnet"'
mistake 's/depth: 8/depth: 900/' '7:30: .*8 to 200'
mistake 's/width: 4/width: 4, classes: 1/' '7:[0-9]*: .*2 to 100000'
mistake 's/lr: 0.05/momentum: 0.5/' '8:[0-9]*: .*"lr" is missing'
mistake 's/^seed: 3/precision: f16/' '3:12: .*auto, f32 or bf16'
mistake 's/^kind: train/kind: pipeline/' '2:7: '
mistake 's/^kind: train/kind: trian/' '2:7: .*no "trian"; did you mean "train"'
mistake 's/^seed: 3/seed: abc/' '3:7: .*"abc" is not a whole number from 0 to 18446744073709551615'
sed 's/^seed: 3/precision: bf16/' "$tmp/t-whole.yaml" >"$tmp/m.yaml"
opiml train "$tmp/m.yaml"
check "bf16 of the plain kernels" fails 9 "use f32"
opiml train "$tmp/a.yaml"
check "a pipeline file" fails 2 'a\.yaml:2:7: this is a pipeline file, for `opiml feed`; a training file'
opiml feed "$tmp/t-whole.yaml"
check "a training file" fails 2 't-whole\.yaml:2:7: this is a training file, for `opiml train`; a pipeline file'
training lost 1 nowhere
opiml train "$tmp/t-lost.yaml"
check "a pipeline file that is not there" fails 3 "t-lost\.yaml:6:15: .*nowhere\.yaml: No such file"
training lost 1 a nowhere
opiml train "$tmp/t-lost.yaml"
check "... to evaluate on" fails 3 "t-lost\.yaml:6:29: .*nowhere\.yaml: No such file"
training lost 1
echo 'weights: nowhere.safetensors' >>"$tmp/t-lost.yaml"
opiml train "$tmp/t-lost.yaml"
check "weights that are not there" fails 3 "t-lost\.yaml:[0-9]*:10: .*nowhere\.safetensors: No such file"

# --- threads that wait ---

# spins VERB VALUE [NAME=VALUE]: how often a thread looks before it sleeps, as GNU's OpenMP itself says.
spins() {
    run env -u OMP_WAIT_POLICY -u GOMP_SPINCOUNT OMP_DISPLAY_ENV=verbose ${3:+"$3"} "$OPIML" "$1" --help
    [ "$(sed -n "s/.*GOMP_SPINCOUNT = '\(.*\)'/\1/p" "$tmp/err" | tail -n 1)" = "$2" ]
}
run env OMP_DISPLAY_ENV=verbose "$OPIML" version
if grep -q GOMP_SPINCOUNT "$tmp/err"; then
    for verb in train eval predict; do
        check "threads of $verb that wait soon sleep" spins $verb 10000
    done
    check "unless the environment says how long they spin" spins train 77 GOMP_SPINCOUNT=77
    check "or whether they do" spins train 0 OMP_WAIT_POLICY=passive
    loader=$(sed -n 's/.* \(\/[^ ]*ld-linux[^ ]*\)$/\1/p' /proc/self/maps | head -n 1)
    run "$loader" "$OPIML" train --help
    check "a program that its loader starts" status_is 0
else
    skip "threads that wait soon sleep" "not built with GNU's OpenMP"
fi
finish
