"""Splits a text into train.bin and val.bin."""

import os
import random

here = os.path.dirname(__file__)
rng = random.Random(0)
words = ["the", "cat", "sat", "on", "a", "mat", "and", "ran", "home", "to", "sleep"]
text = " ".join(rng.choice(words) for _ in range(3000)).encode()
for name, part in (("train", text[:10000]), ("val", text[10000:])):
    with open(os.path.join(here, f"{name}.bin"), "wb") as f:
        f.write(part)
