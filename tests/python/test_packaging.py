"""What packaging/ says is what the program does: the service's unit, the Kubernetes manifest."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess

from helper import Case, needs_peers, unittest

OPIML = os.environ["OPIML"]
PACKAGING = os.path.join(os.path.dirname(__file__), "..", "..", "packaging")
UNIT = os.path.join(PACKAGING, "systemd", "opiml-node.service")
MAKE = os.path.join(PACKAGING, "..", "tools", "make-packages")
MANIFEST = os.path.join(PACKAGING, "kubernetes", "node-daemonset.yaml")
EXPOSURE_MOST = 1.5  # of systemd-analyze: 10 is a service that is confined by nothing

needs_systemd = unittest.skipUnless(shutil.which("systemd-analyze"), "no systemd-analyze here (Debian: systemd)")


class Packaging(Case):
    def manifest(self):
        """The objects of the manifest, by the YAML reader among the peers."""
        read = self.peer("-c", "import json, sys, yaml\nprint(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))",
                         MANIFEST)
        self.assertEqual(read.returncode, 0, read.stdout)
        return json.loads(read.stdout)

    # ---- systemd ----

    @needs_systemd
    def test_the_unit_is_understood(self):
        with open(UNIT, encoding="utf-8") as file:
            unit = file.read().replace("/usr/bin/opiml", OPIML)  # which need not be installed
        path = self.write("opiml-node.service", unit)
        run = subprocess.run(["systemd-analyze", "verify", "--man=no", path], capture_output=True, text=True, check=False)
        self.assertEqual((run.returncode, run.stderr), (0, ""))

    @needs_systemd
    def test_the_unit_is_confined(self):
        run = subprocess.run(["systemd-analyze", "security", "--offline=true", UNIT], capture_output=True, text=True,
                             check=False, env={**os.environ, "LC_ALL": "C"})
        if "unrecognized option" in run.stderr:
            self.skipTest("systemd-analyze here is too old to look at a file")
        exposure = re.search(r"exposure level for opiml-node.service: ([0-9.]+)", run.stdout)
        self.assertIsNotNone(exposure, run.stdout + run.stderr)
        self.assertLessEqual(float(exposure.group(1)), EXPOSURE_MOST)

    def settings(self):
        """NAME=VALUE of node.env; those that are commented out are examples."""
        with open(os.path.join(PACKAGING, "systemd", "node.env"), encoding="utf-8") as file:
            return re.findall(r'^(#?)(OPIML_\w+)="?(.*?)"?$', file.read(), re.MULTILINE)

    def test_the_settings_are_options(self):
        settings = self.settings()
        self.assertEqual([name for mark, name, _ in settings if not mark], ["OPIML_NODE_OPTIONS"])
        listed = self.opiml("node", "start", "-h").stdout
        for _, name, value in settings:
            if name == "OPIML_NODE_OPTIONS":
                for option in re.findall(r"--\w+", value):
                    self.assertIn(f" {option} ", listed)
            else:
                self.assertIn(name, listed)

    def test_it_says_when_it_listens(self):
        for abstract in (False, True):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.settimeout(10)
                name = f"opiml-test-{os.getpid()}" if abstract else self.path("notify")
                manager.bind("\0" + name if abstract else name)
                process = subprocess.Popen([OPIML, "node", "start", "--listen", "127.0.0.1:0", "--data", "127.0.0.1:0"],
                                           stdout=subprocess.PIPE, text=True,
                                           env={**os.environ, "NOTIFY_SOCKET": "@" + name if abstract else name})
                self.addCleanup(process.stdout.close)
                self.addCleanup(process.wait)
                self.addCleanup(process.kill)
                self.assertEqual(manager.recv(64), b"READY=1")
                host, port = process.stdout.readline().split()[-1].rsplit(":", 1)
                socket.create_connection((host, int(port)), 5).close()
                process.send_signal(signal.SIGTERM)
                self.assertEqual(manager.recv(64), b"STOPPING=1")
                self.assertEqual(process.wait(10), 0)

    def test_a_manager_that_is_not_there(self):
        for name in ("", "/nowhere/socket", "/" + "x" * 200):
            process = subprocess.Popen([OPIML, "node", "start", "--listen", "127.0.0.1:0", "--data", "127.0.0.1:0"],
                                       stdout=subprocess.PIPE, text=True, env={**os.environ, "NOTIFY_SOCKET": name})
            self.addCleanup(process.stdout.close)
            self.addCleanup(process.wait)
            self.addCleanup(process.kill)
            self.assertIn("serving on", process.stdout.readline())
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(10), 0)

    # ---- Debian ----

    def test_the_package_has_the_unit_itself(self):
        """What debhelper finds in the tree that the packages are built in; links do not outlive every copy of it."""
        for folder, _, names in os.walk(os.path.join(PACKAGING, "debian")):
            for name in names:
                path = os.path.join(folder, name)
                self.assertFalse(os.path.islink(path), path)
                with open(path, encoding="utf-8") as file:
                    self.assertFalse(file.read(3) == "../", path)  # a link that a copy has made a file of
        tree = self.path("tree")
        shutil.copytree(os.path.join(PACKAGING, "debian"), os.path.join(tree, "debian"))
        with open(MAKE, encoding="utf-8") as file:
            copies = re.findall(r'^cp -p packaging/systemd/.*$', file.read(), re.MULTILINE)
        subprocess.run(["bash", "-ec", "\n".join(copies)], check=True, cwd=os.path.join(PACKAGING, ".."),
                       env={**os.environ, "tree": tree})
        for name, installed in (("opiml-node.service", "opiml.opiml-node.service"), ("opiml.sysusers", "opiml.sysusers")):
            with open(os.path.join(PACKAGING, "systemd", name), encoding="utf-8") as file:
                unit = file.read()
            with open(os.path.join(tree, "debian", installed), encoding="utf-8") as file:
                self.assertEqual(file.read(), unit)

    # ---- Kubernetes ----

    @needs_peers
    def test_the_manifest_is_by_the_schema(self):
        for version in ("1.33", "1.37"):  # the oldest and the newest that the peer knows
            run = self.peer("kubernetes_validate", "--strict", "-k", version, MANIFEST)
            self.assertEqual(run.returncode, 0, run.stdout)
            self.assertIn("passed for resource daemonset/opiml-node", run.stdout)

    @needs_peers
    def test_the_manifest_is_what_the_program_takes(self):
        pod = self.manifest()[0]["spec"]["template"]["spec"]
        node = pod["containers"][0]
        self.assertEqual(node["image"], "opiml-node:" + os.environ["OPIML_VERSION"])
        self.assertEqual([port["containerPort"] for port in node["ports"]], [50251, 50252])
        # Started with these very arguments, but for the data, it gets to the certificates, which are not here.
        run = self.run_opiml(*(one.replace("/srv/data", self.folder) for one in node["args"]))
        self.assertIn("/etc/opiml/tls/node.crt", run.stderr)
        places = [mount["mountPath"] for mount in node["volumeMounts"]]
        self.assertEqual(places, ["/srv/data", "/etc/opiml/tls", "/var/cache/opiml", "/var/lib/opiml"])
        self.assertEqual([mount.get("readOnly", False) for mount in node["volumeMounts"]], [True, True, False, False])

    @needs_peers
    def test_probes_are_commands_that_work(self):
        process, at = self.start_node("--metrics", "127.0.0.1:0", "--state", "none")
        place = process.stdout.readline().split()[-1]
        node = self.manifest()[0]["spec"]["template"]["spec"]["containers"][0]
        probes = {name: node[name]["exec"]["command"] for name in ("readinessProbe", "livenessProbe")}
        for command in probes.values():
            self.assertEqual(command[0], "opiml")
            run = self.run_opiml(*command[1:], "--metrics", place)
            self.assertEqual((run.returncode, run.stdout, run.stderr), (0, "", ""))
        self.opiml("node", "drain", "--node", at)
        self.assertEqual(self.run_opiml(*probes["readinessProbe"][1:], "--metrics", place).returncode, 8)
        self.assertEqual(self.run_opiml(*probes["livenessProbe"][1:], "--metrics", place).returncode, 0)

    @needs_peers
    def test_the_manifest_gives_no_rights(self):
        pod = self.manifest()[0]["spec"]["template"]["spec"]
        self.assertTrue(pod["securityContext"]["runAsNonRoot"])
        self.assertEqual(pod["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
        self.assertFalse(pod["automountServiceAccountToken"])
        for name in ("hostNetwork", "hostPID", "hostIPC"):
            self.assertNotIn(name, pod)
        self.assertEqual(pod["containers"][0]["securityContext"],
                         {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                          "capabilities": {"drop": ["ALL"]}})

    @needs_peers
    def test_image_and_manifest_agree(self):
        pod = self.manifest()[0]["spec"]["template"]["spec"]
        with open(os.path.join(PACKAGING, "oci", "Containerfile"), encoding="utf-8") as file:
            recipe = file.read().replace("\\\n", "")
        args = [one for one in pod["containers"][0]["args"] if not one.startswith("--memory=")]  # by the pod's limit
        self.assertEqual(json.loads(re.search(r"^CMD (.*)$", recipe, re.MULTILINE).group(1)), args)
        user = pod["securityContext"]["runAsUser"]
        self.assertIn(f"\nUSER {user}:{pod['securityContext']['runAsGroup']}\n", recipe)


if __name__ == "__main__":
    unittest.main()
