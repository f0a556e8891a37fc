#!/bin/sh
# Data, pipeline, training, evaluation, prediction: on made-up bodies, or on the brain in data/brain.
#
#   run.sh [bodies|brain]
set -eu
cd "$(dirname "$0")"
command -v opiml >/dev/null || {
    echo "run.sh: opiml is not on the PATH" >&2
    exit 1
}
step() {
    printf '\n$ opiml %s\n' "$*"
    opiml "$@"
}

case ${1:-bodies} in
bodies)
    [ -d data/bodies ] || step data make volumes --out data/bodies
    step feed bodies-train.yaml --epochs 2
    step train bodies.yaml --overwrite
    step eval runs/bodies
    step predict runs/bodies data/bodies/test/images/000003.nii --data bodies-predict.yaml \
        --out runs/bodies
    ;;
brain)
    [ -f data/brain/mni152-t1.nii.gz ] || {
        echo "run.sh: data/brain has no mni152-t1.nii.gz: README.md says what belongs there" >&2
        exit 1
    }
    step train brain.yaml --overwrite
    step eval runs/brain
    step predict runs/brain data/brain/mni152-t1.nii.gz --data brain-predict.yaml --out runs/brain
    ;;
*)
    echo "usage: run.sh [bodies|brain]" >&2
    exit 2
    ;;
esac
