#!/usr/bin/python3
"""Placement: what is gained where data, processors and trainer lie apart, and whether the plan finds it.

    placement.py [--short] [--data A,B,...] [--pairs N] [--seconds S] [--gbits A,B,...] [--markdown FILE]
                 [--picture FILE]

Emulation, on one machine: a storage node and a trainer's host are network namespaces joined by a
link whose rate tbf shapes in both directions, and control groups bound what processors each may use.
The storage node serves its files over S3 (nginx) and runs `opiml node` beside them; the host reads
over the link, or has the node run first operators. Needs root, ip, tc, nginx and a control group of
processors that it may write; ends with 77 where they lack.

Two parts. The first compares crops of large stored volumes at 1 Gb/s with reading whole files, and
with the host's own ranged reads. The second is a grid of link × host × node × data: each fixed
placement runs once, then the plan of `opiml feed --node` and the best fixed one in turn, and the
host alone. Rates are of rows behind a run's first batch. --short is one setting of each data set.
"""
import argparse
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("OPIML_BUILD", HERE / "build"))
OPIML = BUILD / "app/opiml/opiml"
SHARED = pathlib.Path(os.environ.get("OPIML_DATA", HERE / "../shared/data"))
HOST, STORAGE = "10.77.0.2", "10.77.0.1"
S3_PORT, NODE_PORT, DATA_PORT = 9000, 50251, 50252

PIPELINES = {
    "photographs": """
opiml: 1
kind: pipeline
seed: 7
dataset: {uri: "s3://photographs", format: image-folder}
shuffle: {mode: global}
ops:
  - decode: {}
  - random_resized_crop: {size: [224, 224]}
  - random_flip: {p: 0.5}
batch: {size: 25}
""",
    "volumes": """
opiml: 1
kind: pipeline
seed: 7
dataset: {uri: "s3://volumes", format: npy}
shuffle: {mode: global}
ops:
  - volume_random_crop: {fields: [data], size: [80, 80, 80]}
  - gaussian_noise: {field: data, p: 0.1, std: [0, 0.1]}
batch: {size: 1}
""",
    "table": """
opiml: 1
kind: pipeline
seed: 7
dataset: {uri: "s3://table", format: raw, fields: ["x:f32:60", "key:i64", "label:i32", "amount:f32"]}
ops:
  - filter: {where: "amount < 1"}
  - select: {fields: [x, label]}
batch: {size: 4096}
""",
}
VOLUME = (320, 330, 330)  # f32: 139 MB
VOLUMES = 6
BATCHES = 6  # the fewest that a rate is taken of
TABLE_ROWS = 2_000_000  # of 256 bytes, of which 1 in 100 is kept


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


def run(*command, **options):
    return subprocess.run([str(word) for word in command], check=True, text=True, capture_output=True, **options)


# ---- data ----

def make_data(folder):
    import numpy
    rng = numpy.random.default_rng(5)
    (folder / "volumes").mkdir()
    for i in range(VOLUMES):
        numpy.save(folder / f"volumes/v{i}.npy", rng.standard_normal(VOLUME, dtype=numpy.float32))
    (folder / "table").mkdir()
    rows = numpy.zeros(TABLE_ROWS, [("x", "<f4", 60), ("key", "<i8"), ("label", "<i4"), ("amount", "<f4")])
    rows["x"] = rng.standard_normal((TABLE_ROWS, 60), dtype=numpy.float32)
    rows["key"] = numpy.arange(TABLE_ROWS)
    rows["amount"] = rng.random(TABLE_ROWS, dtype=numpy.float32) * 100
    (folder / "table/rows.bin").write_bytes(rows.tobytes())
    (folder / "photographs/all").mkdir(parents=True)
    archive = SHARED / "imagenet-sample-250.tar"
    if archive.exists():
        run("tar", "-xf", archive, "-C", folder / "photographs/all")
    else:
        run(OPIML, "data", "make", "images", "--out", folder / "made", "--count", 250, "--test", 0, "--size", 480)
        shutil.move(folder / "made/train", folder / "photographs/all/made")


def list_bucket(folder):
    """ListObjectsV2's answer for a folder, with the ETags that nginx gives."""
    entries = []
    for path in sorted(folder.rglob("*"), key=lambda p: p.relative_to(folder).as_posix().encode()):
        if path.is_file():
            stat = path.stat()
            entries.append(f"<Contents><Key>{path.relative_to(folder).as_posix()}</Key>"
                           f"<LastModified>2026-01-01T00:00:00.000Z</LastModified>"
                           f"<ETag>&quot;{int(stat.st_mtime):x}-{stat.st_size:x}&quot;</ETag>"
                           f"<Size>{stat.st_size}</Size></Contents>")
    return ('<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><IsTruncated>false</IsTruncated>'
            f"<KeyCount>{len(entries)}</KeyCount>{''.join(entries)}</ListBucketResult>")


NGINX = """
daemon off; master_process off; pid {run}/nginx.pid; error_log {run}/error.log crit;
events {{ worker_connections 512; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; default_type application/octet-stream;
  client_body_temp_path {run}/b; proxy_temp_path {run}/p; fastcgi_temp_path {run}/f; uwsgi_temp_path {run}/u;
  scgi_temp_path {run}/s;
  server {{
    listen {address}:{port};
    root {data};
    rewrite ^/([a-z]+)/?$ /$1.xml break;
  }}
}}
"""


# ---- machines ----

class Machine:
    """A network namespace, and a control group of processors."""

    def __init__(self, name):
        self.space = f"opiml-{name}-{os.getpid()}"
        run("ip", "netns", "add", self.space)
        run("ip", "-n", self.space, "link", "set", "lo", "up")
        self.group = None
        for mount, quota in (("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us"), ("/sys/fs/cgroup", "cpu.max")):
            group = pathlib.Path(mount) / self.space
            try:
                group.mkdir()
            except OSError:
                continue
            if (group / quota).exists():
                self.group, self.quota = group, group / quota
                break
            group.rmdir()

    def bound(self, cores):
        period = 20000  # short, so that a bound is a slow machine and not one that stops at times
        if self.quota.name == "cpu.max":
            self.quota.write_text(f"{int(cores * period)} {period}")
        else:
            (self.group / "cpu.cfs_period_us").write_text(str(period))
            self.quota.write_text(str(int(cores * period)))

    def start(self, *command, bounded=True, **options):
        group = self.group / "cgroup.procs" if bounded else None

        def enter():
            if group:
                group.write_text(str(os.getpid()))
        # Not `ip netns exec`, which mounts another /sys: programs see what processors they may use.
        return subprocess.Popen(["nsenter", f"--net=/run/netns/{self.space}", *map(str, command)], preexec_fn=enter,
                                **options)

    def received(self):
        return int(run("ip", "netns", "exec", self.space, "cat", "/sys/class/net/wire/statistics/rx_bytes").stdout)

    def close(self):
        subprocess.run(["ip", "netns", "del", self.space], check=False)
        if self.group:
            for _ in range(100):
                try:
                    self.group.rmdir()
                    break
                except OSError:
                    time.sleep(0.05)


class Cluster:
    def __init__(self, folder):
        self.folder = folder
        self.children, self.node = [], None
        self.storage, self.host = Machine("storage"), Machine("host")
        self.env = {**os.environ, "AWS_ENDPOINT_URL_S3": f"http://{STORAGE}:{S3_PORT}", "AWS_NO_SIGN_REQUEST": "true",
                    "XDG_CACHE_HOME": str(folder / "cache")}

    def join(self):
        """The link between the two, and the store."""
        folder = self.folder
        if not self.storage.group or not self.host.group:
            skip("no control group of processors can be made here")
        run("ip", "link", "add", "name", "wire", "netns", self.storage.space, "type", "veth",
            "peer", "name", "wire", "netns", self.host.space)
        for machine, address in ((self.storage, STORAGE), (self.host, HOST)):
            run("ip", "-n", machine.space, "addr", "add", f"{address}/24", "dev", "wire")
            run("ip", "-n", machine.space, "link", "set", "wire", "up")
        (folder / "run").mkdir()
        for name in PIPELINES:
            (folder / f"data/{name}.xml").write_text(list_bucket(folder / "data" / name))
        (folder / "run/nginx.conf").write_text(
            NGINX.format(run=folder / "run", data=folder / "data", address=STORAGE, port=S3_PORT))
        self.children.append(self.storage.start("nginx", "-c", folder / "run/nginx.conf", bounded=False))

    def shape(self, gbits, host, node):
        for machine in (self.storage, self.host):
            run("tc", "-n", machine.space, "qdisc", "replace", "dev", "wire", "root", "tbf", "rate",
                f"{int(gbits * 1000)}mbit", "burst", "256kb", "latency", "50ms")
        self.host.bound(host)
        self.storage.bound(node)
        self.restart()

    def restart(self):
        """A node beside the data, which knows the buckets as its folders. What was measured in another setting is
        forgotten."""
        for cache in ("cache", "node-cache"):
            (self.folder / cache / "opiml/measured.json").unlink(missing_ok=True)
        if self.node:
            self.node.send_signal(signal.SIGTERM)
            self.node.wait()
        aliases = ",".join(f"s3://{name}={self.folder}/data/{name}" for name in PIPELINES)
        self.node = self.storage.start(
            OPIML, "node", "start", "--state", "none", "--listen", f"{STORAGE}:{NODE_PORT}", "--data", f"{STORAGE}:{DATA_PORT}", "--insecure",
            "--roots", self.folder / "data", "--alias", aliases, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={**self.env, "XDG_CACHE_HOME": str(self.folder / "node-cache")}, text=True)
        self.node.stdout.readline()

    def feed(self, name, *arguments, seconds):
        """Rows in a second behind the first batch, bytes that came over the link, and what the run says."""
        before = self.host.received()
        child = self.host.start(OPIML, "feed", self.folder / f"{name}.yaml", "--epochs", "0", "--json", *arguments,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.env, text=True)
        try:
            said = child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGINT)
            said = child.communicate(timeout=120)
        report = json.loads(said[0])
        if not report.get("samples") and not report.get("dropped"):
            raise SystemExit(f"{name} {' '.join(arguments)}: {said[1]}")
        rows = report["samples"] + report["dropped"]
        batch = rows / max(1, report["batches"])
        spent = report["elapsed_s"] - report["first_batch_s"]
        rate = (rows - batch) / spent if spent > 0 else 0
        return rate, (self.host.received() - before) / rows, report

    def close(self):
        for child in [*self.children, *([self.node] if self.node else [])]:
            child.terminate()
            child.wait()
        self.storage.close()
        self.host.close()


# ---- what is compared ----

def whole_files(cluster, name, count=4):
    """Files in a second, and bytes of each, when they are only fetched."""
    urls = [f"http://{STORAGE}:{S3_PORT}/{name}/v{i}.npy" for i in range(count)]
    before, start = cluster.host.received(), time.monotonic()
    child = cluster.host.start("curl", "-s", "--parallel", *sum((["-o", "/dev/null", url] for url in urls), []),
                               stderr=subprocess.DEVNULL)
    if child.wait():
        raise SystemExit("curl failed")
    return count / (time.monotonic() - start), (cluster.host.received() - before) / count


def crops(cluster, seconds):
    cluster.shape(1, 0.8, 0.8)
    whole, whole_bytes = whole_files(cluster, "volumes")
    ranged, ranged_bytes, _ = cluster.feed("volumes", seconds=enough(cluster, "volumes", seconds))
    # Long enough that what is read to make the plan does not count.
    near, near_bytes, _ = cluster.feed("volumes", "--node", f"{STORAGE}:{NODE_PORT}", seconds=5 * seconds)
    print(f"crops of 2 MB of volumes of 139 MB over 1 Gb/s: {near:.1f}/s with the node, {ranged:.2f}/s by ranged reads, "
          f"{whole:.2f} whole files/s")
    ok = claim("bytes on the wire / a whole file's", near_bytes / whole_bytes, "most", 1 / 50)
    ok &= claim("samples/s / whole files'", near / whole, "least", 20)
    ok &= claim("samples/s / the host's ranged reads'", near / ranged, "least", 3.5)
    return ok


def claim(what, value, way, target):
    good = value >= target if way == "least" else value <= target
    print(f"{what:44} {value:10.3f}  at {way} {target:.3g} {'ok' if good else 'MISSED'}")
    return good


def enough(cluster, name, seconds):
    """How long the host alone has to run, which may be slow."""
    while cluster.feed(name, seconds=seconds)[2]["batches"] <= BATCHES and seconds < 60:
        seconds *= 1.5
    return seconds


def setting(cluster, name, gbits, host, node, pairs, seconds):
    """One setting of the grid: a row of the table."""
    at = ("--node", f"{STORAGE}:{NODE_PORT}")
    cluster.shape(gbits, host, node)
    ops = len(json.loads(cluster_plan(cluster, name))["operators"])
    alone = enough(cluster, name, seconds)
    fixed = {"here": cluster.feed(name, seconds=alone)[0]}
    for cut in range(ops + 1):
        try:
            fixed[f"cut {cut}"] = cluster.feed(name, *at, "--cut", str(cut), "--insist", seconds=seconds)[0]
        except (SystemExit, json.JSONDecodeError):
            fixed[f"cut {cut}"] = 0  # it cannot be there
    best = max(fixed, key=fixed.get)
    ways = {"best": () if best == "here" else (*at, "--cut", best.split()[1]), "auto": at, "here": ()}
    lasting = {"here": alone, "best": alone if best == "here" else seconds, "auto": alone}
    ratios = {"best": [], "here": []}
    rates = []
    for pair in range(pairs):
        order = ["auto", "best"] if best == "here" else ["auto", "best", "here"]
        if pair % 2:
            order.reverse()
        rate = {way: cluster.feed(name, *ways[way], seconds=lasting[way])[0] for way in order}
        rate.setdefault("here", rate["best"])
        rates.append(rate["auto"])
        for peer in ratios:
            ratios[peer].append(rate["auto"] / rate[peer])
    return {"data": name, "gbits": gbits, "host": host, "node": node, "fixed": fixed, "best": best,
            "auto": statistics.median(rates), "of_best": statistics.median(ratios["best"]),
            "of_here": statistics.median(ratios["here"])}


def cluster_plan(cluster, name):
    child = cluster.host.start(OPIML, "plan", cluster.folder / f"{name}.yaml", "--node", f"{STORAGE}:{NODE_PORT}", "--json",
                               stdout=subprocess.PIPE, env=cluster.env, text=True)
    return child.communicate(timeout=120)[0]


def grid(cluster, options):
    if options.short:
        settings = [("photographs", 0.5, 0.4, 0.8), ("volumes", 1, 0.6, 0.6), ("table", 0.5, 0.4, 0.8)]
    else:
        settings = [(name, gbits, host, node) for name in PIPELINES for gbits in options.gbits
                    for host in (0.3, 0.9) for node in (0.3, 0.9)]
    settings = [one for one in settings if one[0] in options.data]
    kept = pathlib.Path(options.rows) if options.rows else None
    done = json.loads(kept.read_text()) if kept and kept.exists() else []
    rows, ok = [], True
    print(f"\n{'data':12} {'Gb/s':>5} {'host':>5} {'node':>5} {'best fixed':>11} {'rows/s':>9} {'auto':>9} "
          f"{'/best':>6} {'/here':>6}")
    for one in settings:
        row = next((row for row in done if (row["data"], row["gbits"], row["host"], row["node"]) == one), None)
        if not row:
            row = setting(cluster, *one, options.pairs, options.seconds)
            done.append(row)
        if kept:
            kept.write_text(json.dumps(done))
        rows.append(row)
        good = row["of_best"] >= 0.95 and row["of_here"] >= 0.98
        ok &= good
        print(f"{row['data']:12} {row['gbits']:5} {row['host']:5} {row['node']:5} {row['best']:>11} "
              f"{row['fixed'][row['best']]:9.1f} {row['auto']:9.1f} {row['of_best']:6.2f} {row['of_here']:6.2f}"
              f"{'' if good else '  MISSED'}", flush=True)
    ok &= claim("auto / best fixed, the least of all settings", min(row["of_best"] for row in rows), "least", 0.95)
    ok &= claim("auto / the host alone, the least", min(row["of_here"] for row in rows), "least", 0.98)
    if options.markdown:
        write_table(rows, options.markdown)
    if options.picture:
        draw(rows, options.picture)
    return ok


def write_table(rows, path):
    with open(path, "w", encoding="utf-8") as file:
        file.write("| data | Gb/s | host cores | node cores | best fixed | rows/s | plan's | of best | of the host alone |\n"
                   "|---|---|---|---|---|---|---|---|---|\n")
        for row in rows:
            file.write(f"| {row['data']} | {row['gbits']} | {row['host']} | {row['node']} | {row['best']} "
                       f"| {row['fixed'][row['best']]:.0f} | {row['auto']:.0f} | {row['of_best']:.2f} "
                       f"| {row['of_here']:.2f} |\n")


def draw(rows, path):
    """Rates of each setting, as parts of the best fixed placement's: all here, and the plan's."""
    from matplotlib import pyplot
    names = sorted({row["data"] for row in rows})
    figure, axes = pyplot.subplots(1, len(names), figsize=(4 * len(names), 5), sharex=True, squeeze=False)
    for axis, name in zip(axes[0], names):
        ours = [row for row in rows if row["data"] == name]
        places = range(len(ours))
        axis.barh([at - 0.2 for at in places], [row["of_best"] for row in ours], 0.4, label="the plan")
        axis.barh([at + 0.2 for at in places], [row["of_best"] / row["of_here"] for row in ours], 0.4, label="all on the host")
        axis.axvline(0.95, color="grey", linewidth=0.8, linestyle="--")
        axis.set_yticks(list(places), [f"{row['gbits']} Gb/s, {row['host']} + {row['node']} cores" for row in ours], fontsize=7)
        axis.set_title(name, fontsize=10)
        axis.invert_yaxis()
    figure.legend(*axes[0][0].get_legend_handles_labels(), fontsize=7, loc="lower left")
    figure.supxlabel("rows/s, as a part of the best fixed placement's (link, host + node)", fontsize=9)
    figure.tight_layout()
    figure.savefig(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="one setting of each data set")
    parser.add_argument("--data", type=lambda text: text.split(","), default=list(PIPELINES),
                        help=f"only these of {','.join(PIPELINES)}")
    parser.add_argument("--pairs", type=int, default=int(os.environ.get("PAIRS", "10")))
    parser.add_argument("--seconds", type=float, default=6, help="of each run")
    parser.add_argument("--gbits", type=lambda text: [float(one) for one in text.split(",")], default=[0.2, 0.7, 2],
                        help="the grid's links (0.2,0.7,2)")
    parser.add_argument("--rows", help="keep the grid's rows in this file, and do not measure again those that are there")
    parser.add_argument("--markdown", help="write the grid as a table, too")
    parser.add_argument("--picture", help="... and as a picture, which needs matplotlib")
    options = parser.parse_args()
    if os.geteuid() != 0:
        skip("network namespaces and control groups need root")
    for tool in ("ip", "tc", "nsenter", "nginx", "curl"):
        if not shutil.which(tool):
            skip(f"there is no {tool}")
    for number in (signal.SIGINT, signal.SIGTERM):  # in the background the first would be ignored
        signal.signal(number, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="opiml-placement-") as name:
        folder = pathlib.Path(name)
        os.chmod(folder, 0o755)
        (folder / "data").mkdir()
        make_data(folder / "data")
        for pipeline, text in PIPELINES.items():
            (folder / f"{pipeline}.yaml").write_text(text)
        cluster = Cluster(folder)
        try:
            cluster.join()
            ok = "volumes" not in options.data or crops(cluster, options.seconds)
            ok &= grid(cluster, options)
        finally:
            cluster.close()
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
