"""One round of a benchmark, as short as it gets: does it end well, and is its JSON of the agreed shape?

usage: smoke_test.py PATH/TO/bench_NAME NAME [argument...]
Exit status 77, which ctest shows as skipped, where there is no PostgreSQL server.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

SPREAD = {"median", "min", "max"}
SKIPPED = 77


def main():
    if not any(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        print("skipped: no PostgreSQL server")
        return SKIPPED
    program, name, *arguments = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "figures.json")
        subprocess.run([program, "--rounds", "1", "--json", file, *arguments], check=True)
        figures = json.loads(file.read_text(encoding="utf-8"))
    assert set(figures) == {"name", "rounds", "rows", "ratios", "missing", "machine"}, set(figures)
    assert (figures["name"], figures["rounds"]) == (name, 1)
    for row in figures["rows"]:
        assert set(row) == {"variant", "metric", "unit"} | SPREAD, row
        assert row["min"] <= row["median"] <= row["max"], row
    for ratio in figures["ratios"]:
        assert set(ratio) == {"of", "to", "metric"} | SPREAD, ratio
        assert ratio["min"] <= ratio["median"] <= ratio["max"], ratio
    for missing in figures["missing"]:
        assert set(missing) == {"variant", "why"}, missing
    assert any("weir" in row["variant"] for row in figures["rows"]), "weir was not measured"
    return 0


sys.exit(main())
