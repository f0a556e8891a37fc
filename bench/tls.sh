#!/bin/sh
# What TLS costs a link: frames of 4 MiB over loopback TCP connections with it and without, in turn.
# It is reported, and nothing is claimed: the kernel, the CPU and OpenSSL decide.
. "$(dirname "$0")/lib.sh"
if [ ! -x "$programs/bench_tls" ]; then
    echo "skipped: built without the node"
    exit 77
fi
"$programs/bench_tls" "${PAIRS:-10}" 2>/dev/null
