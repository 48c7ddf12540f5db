"""Split the digits by a seed: training rows with labels, test rows without, and the test labels for the scorer alone.

    python prepare.py REPOSITORY STUDY_FOLDER SEED

writes `data/train.csv` (64 grey values, label) and `data/test.csv` (64 grey values) into the repository, and
`labels/test.csv` and `labels/split.json` into the study's folder. Standard library only: whoever keeps cockpit apart
from the training environment can still make the study.
"""

import gzip
import hashlib
import json
import random
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parent / "optdigits.csv.gz"
TEST_ROWS = 600


def split(repository: Path, study: Path, seed: int) -> None:
    """Write the three parts. The same seed gives the same parts, on any machine."""
    packed = SOURCE.read_bytes()
    rows = gzip.decompress(packed).decode("ascii").split()
    random.Random(f"digits {seed}").shuffle(rows)
    test, train = rows[:TEST_ROWS], rows[TEST_ROWS:]

    data, labels = repository / "data", study / "labels"
    data.mkdir(parents=True)
    labels.mkdir(parents=True)
    (data / "train.csv").write_text("".join(f"{row}\n" for row in train))
    (data / "test.csv").write_text("".join(f"{row.rpartition(',')[0]}\n" for row in test))
    (labels / "test.csv").write_text("".join(f"{row.rpartition(',')[2]}\n" for row in test))
    facts = {
        "recipe": "digits",
        "seed": seed,
        "train_rows": len(train),
        "test_rows": len(test),
        "source_sha256": hashlib.sha256(packed).hexdigest(),
    }
    (labels / "split.json").write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    split(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
