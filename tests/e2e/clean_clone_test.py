"""The commands that the README begins with, from a clean clone of what is committed.

Each command must be there and say what it does; the demo is built and run, briefly. (scripts/test is
asked for its help only: it is what runs this test.) Exit status 77, which ctest shows as skipped, where
there is nothing to clone.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
SKIPPED = 77

# Whoever runs the tests may not own the checkout, as in a container.
ENVIRONMENT = dict(os.environ, GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="safe.directory",
                   GIT_CONFIG_VALUE_0="*")


def run(*command, cwd=None):
    return subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True,
                          check=False)


def has_commit():
    if shutil.which("git") is None or not (CHECKOUT / ".git").exists():
        return False
    return run("git", "rev-parse", "--verify", "--quiet", "HEAD", cwd=CHECKOUT).returncode == 0


class CleanClone(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.clone = pathlib.Path(cls.folder.name, "weir")
        done = run("git", "clone", "--quiet", "--no-hardlinks", str(CHECKOUT), str(cls.clone))
        if done.returncode != 0:
            raise RuntimeError(done.stderr)

    def test_the_readme_begins_with_two_commands_that_exist(self):
        readme = (self.clone / "README.md").read_text(encoding="utf-8")
        block = re.search(r"^```\w*\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
        commands = [line.split("#")[0].split() for line in block.group(1).splitlines() if line]
        self.assertEqual([command[0] for command in commands], ["scripts/demo", "scripts/test"])
        for command in commands:
            self.assertTrue(os.access(self.clone / command[0], os.X_OK), command)

    def test_each_script_says_what_it_does_from_any_folder(self):
        for script in ("setup", "test", "check", "check-layers", "format", "fuzz", "package"):
            done = run(str(self.clone / "scripts" / script), "--help", cwd="/")
            self.assertEqual(done.returncode, 0, script + ": " + done.stderr)
            self.assertIn(script, done.stdout)

    def test_the_demo_builds_and_runs_on_each_database(self):
        for driver in ([], ["--driver", "redis"], ["--driver=sqlite"]):
            done = run(str(self.clone / "scripts" / "demo"), *driver, "--seconds", "8",
                       "--least-success", "0", cwd="/")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn("weir kept its word", done.stdout)
        refused = run(str(self.clone / "scripts" / "demo"), "--driver", "mysql", cwd="/")
        self.assertEqual(refused.returncode, 2)
        self.assertIn("expected one of postgres, redis, sqlite, found 'mysql'", refused.stderr)
        status = run("git", "status", "--porcelain", cwd=self.clone)
        self.assertEqual(status.stdout, "", "building and running must leave the checkout clean")


if __name__ == "__main__":
    if not has_commit():
        print("skipped: not a git checkout with a commit")
        sys.exit(SKIPPED)
    unittest.main()
