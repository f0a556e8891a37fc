#!/bin/sh
# A made table of card payments, filtered and turned into features by its database, then the model of
# tables and the area under its curve. README.md says how to do the same with PostgreSQL.
#
#   run.sh [PAYMENTS]     how many to learn from: 40,000
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
[ -d data/payments ] ||
    step data make payments --format sqlite --count "${1:-40000}" --out data/payments
step feed payments-train.yaml
step train payments.yaml --overwrite
step eval runs/payments
