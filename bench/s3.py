"""Reading a bucket: wall-clock time and CPU time of whole processes, opiml beside s3cmd, rclone and boto3.

    s3.py FOLDER [ROUNDS]

The server is named by the environment, as for AWS's tools. Each round reads every object once by each, in
turn. opiml reads them as records, which it delivers in batches; s3cmd and rclone write them into memory
(/dev/shm), as they have no way to drop several at once; boto3 reads eight at a time and drops them. All but
s3cmd, which knows no such thing, ask for several at once. opiml's index is there from a first run, as it
would be in training. The rate is compared to the best one's of each round, and so is the CPU time.
"""
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import boto3
from botocore.config import Config

# What, objects, bytes of each, bytes of a record.
SETS = [("large", 40, 12 << 20, 1 << 20), ("small", 2000, 100 << 10, 100 << 10)]
RATE, CPU = 0.9, 1 / 3

BOTO = """
import sys, boto3
from concurrent.futures import ThreadPoolExecutor
from botocore.config import Config
s3 = boto3.client("s3", endpoint_url=sys.argv[2], config=Config(s3={"addressing_style": "path"}, max_pool_connections=8))
def read(key):
    body, total = s3.get_object(Bucket=sys.argv[1], Key=key)["Body"], 0
    while part := body.read(1 << 20):
        total += len(part)
    return total
pages = s3.get_paginator("list_objects_v2").paginate(Bucket=sys.argv[1])
with ThreadPoolExecutor(8) as pool:
    print(sum(pool.map(read, [each["Key"] for page in pages for each in page["Contents"]])))
"""

FEED = """
opiml: 1
kind: pipeline
dataset: {{uri: "s3://{bucket}", format: raw, fields: ["x:u8:{record}"]}}
shuffle: {{mode: none}}
batch: {{size: 16}}
"""


def measure(command, env):
    """Seconds, and CPU seconds, of a command that has to end well."""
    began = time.monotonic()
    child = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE)
    said = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    child.stderr.close()
    if status:
        raise SystemExit(f"{command[0]}: {said.decode()[-800:]}")
    return time.monotonic() - began, usage.ru_utime + usage.ru_stime


def fill(bucket, count, size):
    s3 = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"], config=Config(s3={"addressing_style": "path"}))
    s3.create_bucket(Bucket=bucket)
    body = os.urandom(size)
    for i in range(count):
        s3.put_object(Bucket=bucket, Key=f"{i:05}.bin", Body=i.to_bytes(4, "little") + body[4:])


def commands(folder, bucket, record, endpoint):
    """name: (how it is called, what it writes to)."""
    with open(os.path.join(folder, f"{bucket}.yaml"), "w", encoding="ascii") as file:
        file.write(FEED.format(bucket=bucket, record=record))
    host = endpoint.partition("://")[2]
    remote = f":s3,provider=Ceph,env_auth=true,endpoint='{endpoint}':{bucket}"
    target = tempfile.mkdtemp(prefix="opiml-bench-", dir="/dev/shm")
    return target, {
        "opiml": ["opiml", "feed", file.name],
        "boto3": ["/usr/bin/python3", "-c", BOTO, bucket, endpoint],
        "rclone": ["rclone", "copy", "--transfers", "8", "--checkers", "8", "--s3-no-check-bucket", remote, target],
        "s3cmd": ["s3cmd", "--config", os.path.join(folder, "s3cfg"), "--no-ssl", f"--host={host}",
                  f"--host-bucket={host}", "--no-progress", "--force", "get", "--recursive", f"s3://{bucket}/",
                  target + "/"]}


def empty(folder):
    for name in os.listdir(folder):
        os.remove(os.path.join(folder, name))


def line(what, ratios, least):
    ratios, middle = sorted(ratios), statistics.median(ratios)
    good = middle >= RATE if least else middle <= CPU
    print(f"{what:44} {middle:6.3f}  [{ratios[0]:.3f}, {ratios[-1]:.3f}] of {len(ratios)} pairs  at "
          f"{'least' if least else 'most'} {RATE if least else CPU:.2f} {'ok' if good else 'MISSED'}", flush=True)
    return good


def compare(folder, rounds, what, count, size, record):
    bucket, total = f"bench-{what}", count * size / 1e6
    env = dict(os.environ, RCLONE_CONFIG=os.path.join(folder, "rclone"))
    env.pop("AWS_CA_BUNDLE", None)  # there is no TLS here, and rclone cannot have one
    fill(bucket, count, size)
    target, ways = commands(folder, bucket, record, os.environ["AWS_ENDPOINT_URL"])
    results = {name: [] for name in ways}
    try:
        for round_ in range(rounds + 1):  # the first is for warmth, and for the index
            for name, command in ways.items():
                taken = measure(command, env)
                empty(target)
                if round_:
                    results[name].append(taken)
    finally:
        shutil.rmtree(target)
    print(f"\n{what}: {count} objects of {size >> 10} KiB, medians of {rounds} rounds")
    for name, taken in results.items():
        print(f"  {name:8} {total / statistics.median(wall for wall, _ in taken):7.0f} MB/s   "
              f"{statistics.median(cpu for _, cpu in taken) * 1000 / total:7.3f} CPU-s/GB")
    rates, loads = [], []
    for i, (wall, cpu) in enumerate(results.pop("opiml")):
        best = min((taken[i] for taken in results.values()))
        rates.append(best[0] / wall)
        loads.append(cpu / best[1])
    return line(f"{what}: rate, of the best one's", rates, True) & \
        line(f"{what}: CPU time, of that one's", loads, False)


def main():
    folder, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10
    absent = [name for name in ("s3cmd", "rclone") if not shutil.which(name)]
    if absent:
        print(f"skipped: no {absent[0]}")
        return 77
    with open(os.path.join(folder, "s3cfg"), "w", encoding="ascii") as file:
        file.write("[default]\n")
    open(os.path.join(folder, "rclone"), "w", encoding="ascii").close()
    good = [compare(folder, rounds, *each) for each in SETS]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
