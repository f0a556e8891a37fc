#!/bin/sh
# The demonstration: make images, look at them, measure the pipeline, train, evaluate, predict.
# `./dev demo` calls it after the build; with `opiml` on the PATH it also runs by itself.
#
#   run.sh           made-up shapes, about two minutes on two cores
#   run.sh cifar10   CIFAR-10, which must lie in data/cifar10 (see README.md); a quarter of an hour
set -eu
cd "$(dirname "$0")"
what=${1:-shapes}
case $what in
shapes) config=train.yaml images=data/shapes ;;
cifar10) config=cifar10.yaml images=data/cifar10 ;;
*)
    echo "usage: run.sh [shapes|cifar10]" >&2
    exit 2
    ;;
esac

bold= plain=
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
    bold=$(printf '\033[1m') plain=$(printf '\033[0m')
fi
# Show a command, then run it.
step() {
    printf '\n%s$ %s%s\n' "$bold" "$*" "$plain"
    "$@"
}

echo "In $PWD:"
if [ "$what" = shapes ] && [ ! -d "$images" ]; then
    step opiml data make images --out "$images" --count 12000 --test 2000 --size 48 --seed 1
fi
if [ ! -d "$images/train" ]; then
    echo "$images/train is missing; README.md says what belongs there" >&2
    exit 3
fi
step opiml data peek "$images/train" 1234
step opiml feed "$what-train.yaml"
step opiml train "$config" --overwrite
step opiml eval "runs/$what" --data "$what-eval.yaml"
picture=$(find "$images/test" -name '*.jpg' | LC_ALL=C sort | sed -n 777p)
step opiml predict "runs/$what" "$picture"
