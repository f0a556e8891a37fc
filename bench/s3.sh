#!/bin/sh
# Objects read from S3: opiml feed against s3cmd, rclone and boto3, from the same radosgw on this machine,
# large objects and small ones. See s3.py.
. "$(dirname "$0")/lib.sh"
status=0
"$here/tests/python/radosgw.py" /usr/bin/python3 "$here/bench/s3.py" "$tmp" "${PAIRS:-10}" || status=$?
exit $status
