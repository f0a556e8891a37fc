#!/bin/sh
# A PyTorch training script on photographs, fed by opiml and by PyTorch's own DataLoader over Pillow:
# rate and memory.
. "$(dirname "$0")/lib.sh"
torch
shared imagenet-sample-250.tar
mkdir -p "$tmp/pictures/photographs"
tar -xf "$found" -C "$tmp/pictures/photographs"
export PYTHONPATH="$here/python" OPIML_LIBRARY="${programs%/bench}/src/libopiml.so"
exec "$torch" "$here/bench/pytorch.py" "$tmp/pictures" "${WORKERS:-2}" "${PAIRS:-10}"
