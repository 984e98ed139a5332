"""scripts/check-layers against little houses: what it must refuse, what it must let pass."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]


def check(files):
    """Runs check-layers over a folder with these files; returns its exit status and output."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            file = pathlib.Path(folder, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        run = subprocess.run(
            [sys.executable, CHECKOUT / "scripts/check-layers", "--root", folder],
            capture_output=True, text=True, check=False,
        )
        return run.returncode, run.stdout


class CheckLayers(unittest.TestCase):
    def refuses(self, path, include):
        status, output = check({path: f"#pragma once\n\n#include {include}\n"})
        self.assertEqual(status, 1, f"{path} may not include {include}")
        self.assertIn(f"{path}:3: #include {include}", output)
        self.assertIn("may include only", output)

    def allows(self, path, include):
        status, output = check({path: f"#include {include}\n"})
        self.assertEqual((status, output), (0, ""))

    def test_the_checkout_itself_passes(self):
        run = subprocess.run([CHECKOUT / "scripts/check-layers"], capture_output=True, text=True,
                             check=False)
        self.assertEqual((run.returncode, run.stdout), (0, ""))

    def test_includes_run_downward_only(self):
        self.refuses("core/base/status.h", '"shm/words.h"')
        self.refuses("core/base/log.cpp", '"driver/plugin.h"')
        self.refuses("shm/places.cpp", '"pool/pool.h"')
        self.refuses("shm/places.h", '"policy/policy.h"')
        self.refuses("core/driver/plugin.cpp", '"shm/words.h"')
        self.refuses("core/policy/lua_policy.cpp", '"shm/snapshot.h"')
        self.refuses("core/policy/lua_policy.h", '"driver/connection.h"')
        self.refuses("core/pool/pool.cpp", '"runtime/runtime.h"')
        self.allows("core/pool/pool.cpp", '"shm/places.h"')
        self.allows("core/runtime/runtime.cpp", '"pool/pool.h"')
        self.allows("shm/places.cpp", '"base/status.h"')

    def test_the_command_never_touches_the_pool(self):
        self.refuses("core/cli/status.cpp", '"pool/pool.h"')
        self.refuses("core/cli/status.cpp", '"shm/places.h"')
        self.allows("core/cli/status.cpp", '"shm/snapshot.h"')

    def test_the_configuration_knows_nobody_that_it_configures(self):
        self.refuses("core/config/load.cpp", '"pool/pool.h"')
        self.refuses("core/config/load.cpp", '"driver/plugin.h"')
        self.refuses("core/config/load.h", '"shm/segment.h"')
        self.allows("core/config/load.cpp", '"base/text.h"')
        self.allows("core/cli/config_command.cpp", '"config/load.h"')
        self.allows("core/pool/pool.h", '"config/pool_config.h"')
        self.refuses("core/pool/pool.cpp", '"config/load.h"')

    def test_a_plugin_sees_only_the_driver_header(self):
        self.refuses("plugins/postgres/errors.cpp", '"base/status.h"')
        self.refuses("plugins/postgres/errors.cpp", '"weir/weir.h"')
        self.allows("plugins/postgres/errors.cpp", '"weir/driver.h"')
        self.allows("plugins/postgres/errors.cpp", "<libpq-fe.h>")
        self.allows("plugins/postgres/conformance.cpp", '"weir/conformance.h"')
        self.allows("plugins/sqlite/session.h", "<sqlite3.h>")
        self.refuses("plugins/sqlite/session.h", "<libpq-fe.h>")
        self.refuses("core/include/weir/driver.h", '"weir/conformance.h"')
        self.refuses("plugins/redis/dsn.cpp", '"base/status.h"')
        self.refuses("plugins/redis/dsn.cpp", '"plugins/postgres/dsn.h"')
        self.refuses("plugins/redis/dsn.cpp", "<libpq-fe.h>")
        self.allows("plugins/redis/dsn.cpp", "<hiredis/hiredis.h>")

    def test_foreign_libraries_stay_in_their_room(self):
        self.refuses("core/pool/pool.cpp", "<dlfcn.h>")
        self.refuses("core/pool/pool.cpp", "<lua.h>")
        self.refuses("core/pool/pool.cpp", "<boost/interprocess/mapped_region.hpp>")
        self.refuses("shm/segment.cpp", "<boost/container/vector.hpp>")
        self.refuses("core/driver/connection.cpp", "<libpq-fe.h>")
        self.refuses("core/pool/pool.cpp", "<toml++/toml.h>")
        self.refuses("core/runtime/runtime.cpp", "<toml++/toml.h>")
        self.allows("core/driver/plugin.cpp", "<dlfcn.h>")
        self.allows("core/config/tree.cpp", "<toml++/toml.h>")
        self.allows("shm/segment.cpp", "<boost/interprocess/file_mapping.hpp>")

    def test_public_c_headers_are_c(self):
        self.refuses("core/include/weir/weir.h", "<string>")
        self.refuses("core/include/weir/weir.hpp", '"base/status.h"')
        self.allows("core/include/weir/weir.hpp", "<string>")
        self.allows("core/include/weir/weir.h", "<stdint.h>")

    def test_a_neighbour_in_the_same_folder_is_the_same_room(self):
        status, output = check({
            "plugins/postgres/dsn.cpp": '#include "dsn.h"\n',
            "plugins/postgres/dsn.h": "",
        })
        self.assertEqual((status, output), (0, ""))

    def test_spelling_does_not_hide_an_include(self):
        status, output = check({"core/pool/pool.cpp": '  #  include   "runtime/runtime.h"\n'})
        self.assertEqual(status, 1)
        self.assertIn("core/pool/pool.cpp:1:", output)

    def test_a_file_in_no_known_room_is_refused(self):
        status, output = check({"core/cellar/cellar.cpp": ""})
        self.assertEqual(status, 1)
        self.assertIn("core/cellar/cellar.cpp", output)


if __name__ == "__main__":
    unittest.main()
