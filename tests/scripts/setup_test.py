"""scripts/setup on machines that are not this one: every command it calls is a stand-in that writes down
how it was called."""

import os
import pathlib
import subprocess
import tempfile
import unittest

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]

DPKG_QUERY = """#!/bin/sh
for last; do :; done
case " $MISSING " in *" $last "*) exit 1 ;; esac
echo installed
"""
ID = """#!/bin/sh
echo "$FAKE_UID"
"""
SUDO = """#!/bin/sh
echo "sudo" >>"$CALLS"
exec "$@"
"""
WRITE_DOWN = """#!/bin/sh
case "$0" in */tee) read -r _ ;; esac
echo "$(basename "$0") $*" >>"$CALLS"
"""


def setup(*arguments, missing="", uid=0, sudo=True):
    """Runs scripts/setup; returns its exit status, what it printed, and the calls it made."""
    with tempfile.TemporaryDirectory() as folder:
        bin_folder = pathlib.Path(folder, "bin")
        bin_folder.mkdir()
        calls = pathlib.Path(folder, "calls")
        calls.touch()
        programs = {"dpkg-query": DPKG_QUERY, "id": ID}
        programs.update({name: WRITE_DOWN for name in ("apt-get", "install", "mkdir", "tee", "rm")})
        if sudo:
            programs["sudo"] = SUDO
        for name, text in programs.items():
            file = bin_folder / name
            file.write_text(text, encoding="utf-8")
            file.chmod(0o755)
        for name in ("bash", "sh", "env", "head", "sed", "dirname", "basename"):
            (bin_folder / name).symlink_to(f"/usr/bin/{name}")
        environment = {"PATH": str(bin_folder), "MISSING": missing, "FAKE_UID": str(uid),
                       "CALLS": str(calls)}
        done = subprocess.run([CHECKOUT / "scripts/setup", *arguments], env=environment,
                              capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr, calls.read_text().splitlines()


class Setup(unittest.TestCase):
    def test_is_quiet_and_touches_nothing_when_nothing_is_missing(self):
        self.assertEqual(setup(), (0, "", []))
        self.assertEqual(setup(uid=1000, sudo=False), (0, "", []))

    def test_installs_only_what_is_missing(self):
        status, output, calls = setup(missing="cmake libpq-dev")
        self.assertEqual(status, 0, output)
        self.assertEqual(calls, ["apt-get -q -y update",
                                 "apt-get -q -y install --no-install-recommends cmake libpq-dev"])

    def test_asks_for_root_with_sudo(self):
        status, output, calls = setup(missing="cmake", uid=1000)
        self.assertEqual(status, 0, output)
        self.assertEqual(calls[0], "sudo")
        self.assertTrue(calls[1].startswith("apt-get"))

    def test_says_what_to_install_where_there_is_no_sudo(self):
        status, output, calls = setup(missing="cmake git", uid=1000, sudo=False)
        self.assertEqual((status, calls), (1, []))
        self.assertIn("apt-get install cmake git", output)

    def test_a_new_postgresql_makes_no_cluster_of_its_own(self):
        status, output, calls = setup(missing="postgresql-15")
        self.assertEqual(status, 0, output)
        switch = "/etc/postgresql-common/createcluster.d/weir-setup.conf"
        install = next(i for i, call in enumerate(calls) if "install" in call)
        self.assertLess(calls.index(f"tee {switch}"), install)
        self.assertGreater(calls.index(f"rm -f {switch}"), install)

    def test_tools_of_scripts_check_are_asked_for_by_name(self):
        self.assertEqual(setup(missing="clang-tidy"), (0, "", []))
        _, _, calls = setup("--check", missing="clang-tidy")
        self.assertIn("clang-tidy", calls[-1])

    def test_peers_of_the_benchmarks_are_asked_for_by_name(self):
        self.assertEqual(setup(missing="pgbouncer"), (0, "", []))
        status, output, calls = setup("--bench", missing="pgbouncer libsoci-dev")
        self.assertEqual(status, 0, output)
        self.assertTrue(any("install" in call and "libsoci-dev" in call for call in calls), calls)

    def test_a_new_pgbouncer_starts_no_service(self):
        switch = "/usr/sbin/policy-rc.d"
        if os.path.exists(switch):
            self.skipTest("this machine starts no services anyway")
        _, _, calls = setup("--bench", missing="pgbouncer")
        install = next(i for i, call in enumerate(calls) if call.startswith("apt-get -q -y install"))
        self.assertLess(calls.index(f"install -m 755 /dev/stdin {switch}"), install)
        self.assertGreater(calls.index(f"rm -f {switch}"), install)

    def test_a_new_redis_starts_no_service(self):
        switch = "/usr/sbin/policy-rc.d"
        if os.path.exists(switch):
            self.skipTest("this machine starts no services anyway")
        _, _, calls = setup(missing="cmake redis-server")
        install = next(i for i, call in enumerate(calls) if call.startswith("apt-get -q -y install"))
        self.assertLess(calls.index(f"install -m 755 /dev/stdin {switch}"), install)
        self.assertGreater(calls.index(f"rm -f {switch}"), install)

    def test_refuses_an_argument_it_does_not_know(self):
        status, output, calls = setup("--chekc")
        self.assertEqual((status, calls), (2, []))
        self.assertIn("--chekc", output)


if __name__ == "__main__":
    unittest.main()
