"""Make the results of a sweep the kept ones, which 05_ablations reads where nothing was run.

make ablations
python benchmarks/keep_ablations.py runs/ablations/offline --command "make ablations"
"""

import argparse
from pathlib import Path

from metauas.ablations.results.kept import keep


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep", type=Path)
    parser.add_argument("--command", required=True, help="what made the sweep, for the record")
    given = parser.parse_args()
    for path in keep(given.sweep, command=given.command):
        print(path)


if __name__ == "__main__":
    main()
