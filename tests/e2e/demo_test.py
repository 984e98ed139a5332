"""Runs the demo briefly and holds its figures against what weir promises.

usage: demo_test.py PATH/TO/weir-demo [DRIVER]

Without a driver the demo is not told any, and has to take postgres.
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import unittest

DEMO = [sys.argv.pop(1)]
DRIVER = "postgres"
if len(sys.argv) > 1:
    DRIVER = sys.argv.pop(1)
    DEMO += ["--driver", DRIVER]

# What its sessions are called, and who counts them.
COUNTED = {
    "postgres": ("most backends, of 20", "times the server was asked"),
    "redis": ("most clients, of 20", "times the server was asked"),
    "sqlite": ("most connections, of 20", "times the kernel was asked"),
}[DRIVER]

FIGURES = {"success_pct", "timeouts", "errors", "p50_ms", "p95_ms", "p99_ms", "server_max", "connects"}
AFTER_KILL = {"killed", "permits_missing", "permits_back_ms"}


class Demo(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "demo.json")
            cls.done = subprocess.run([*DEMO, "--seconds", "12", "--least-success", "0",
                                       "--json", file],
                                      capture_output=True, text=True, check=False)
            cls.figures = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None

    def setUp(self):
        self.assertIsNotNone(self.figures, self.done.stdout + self.done.stderr)

    def test_weir_kept_its_word(self):
        self.assertEqual(self.done.returncode, 0, self.done.stdout + self.done.stderr)
        self.assertIn("weir kept its word", self.done.stdout)

    def test_the_json_has_these_keys_and_no_others(self):
        self.assertEqual(set(self.figures), {"quota", "static", "weir", "ideal"})
        self.assertEqual(set(self.figures["static"]), FIGURES)
        self.assertEqual(set(self.figures["ideal"]), FIGURES)
        self.assertEqual(set(self.figures["weir"]), FIGURES | AFTER_KILL)

    def test_it_says_what_was_counted_and_by_whom(self):
        for row in COUNTED:
            self.assertIn(row, self.done.stdout)
        self.assertEqual("No server counts here" in self.done.stdout, DRIVER == "sqlite")

    def test_more_than_the_quota_was_never_seen(self):
        self.assertEqual(self.figures["quota"], 20)
        self.assertGreater(self.figures["weir"]["server_max"], 0)
        self.assertLessEqual(self.figures["weir"]["server_max"], 20)

    def test_requests_are_served(self):
        # How many in time depends on the machine; that none fails otherwise does not.
        self.assertGreater(self.figures["weir"]["success_pct"], 0)
        self.assertEqual(self.figures["weir"]["errors"], 0)

    def test_nothing_is_lost_with_a_killed_worker(self):
        self.assertEqual(self.figures["weir"]["killed"], 1)
        self.assertEqual(self.figures["weir"]["permits_missing"], 0)
        self.assertIsNotNone(self.figures["weir"]["permits_back_ms"])

    def test_divided_connections_are_not_enough_for_the_hot_workers(self):
        self.assertGreater(self.figures["static"]["timeouts"], 0)
        self.assertLess(self.figures["static"]["success_pct"], self.figures["weir"]["success_pct"])

    def test_nobody_beats_the_ideal(self):
        self.assertLessEqual(self.figures["ideal"]["p99_ms"], self.figures["weir"]["p99_ms"])


class RefusedDemo(unittest.TestCase):
    def test_an_unknown_driver_is_named_with_those_that_there_are(self):
        done = subprocess.run([DEMO[0], "--driver", "mysql"], capture_output=True, text=True,
                              check=False)
        self.assertEqual(done.returncode, 2)
        found = re.search(r"expected one of (.*), found 'mysql'", done.stderr)
        self.assertIsNotNone(found, done.stderr)
        self.assertIn(DRIVER, found.group(1).split(", "))


class InterruptedDemo(unittest.TestCase):
    def test_leaves_nothing_behind(self):
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder).chmod(0o755)  # PostgreSQL may run as another user
            environment = dict(os.environ, TMPDIR=folder)
            with subprocess.Popen(DEMO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                  env=environment) as demo:
                self.assertTrue(any("idle/used/waiting" in line for line in demo.stdout))
                demo.send_signal(signal.SIGINT)
                _, errors = demo.communicate(timeout=60)
            self.assertEqual(demo.returncode, 2)
            self.assertIn("interrupted", errors)
            self.assertEqual(os.listdir(folder), [])


if __name__ == "__main__":
    unittest.main()
