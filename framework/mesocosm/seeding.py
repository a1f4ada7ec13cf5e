"""The one owner of randomness: one integer seed becomes named, independent streams.

A stream depends on (seed, label, purpose, interval, replicate) and on nothing else: not on how many numbers were drawn
before it, nor on which other dynamics or observers run. So a restart, an added observer or another dynamics changes
nothing, and two labels never share noise unless they ask for the same label.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Streams:
    """Named random streams of one label.

    >>> streams = Streams(seed=7, label="agents")
    >>> a = streams.generator("transitions", interval=3)
    >>> b = Streams(7, "agents").generator("transitions", interval=3)
    >>> float(a.random()) == float(b.random())
    True
    """

    seed: int
    label: str

    def sequence(self, purpose: str, *, interval: int = 0, replicate: int = 0) -> np.random.SeedSequence:
        """The `SeedSequence` of one stream: 128 bits of a hash of its full name."""
        name = f"{self.seed}\x1f{self.label}\x1f{purpose}\x1f{interval}\x1f{replicate}"
        digest = hashlib.blake2b(name.encode(), digest_size=16).digest()
        return np.random.SeedSequence(int.from_bytes(digest, "little"))

    def generator(self, purpose: str, *, interval: int = 0, replicate: int = 0) -> np.random.Generator:
        """A fresh NumPy generator (PCG64) at the start of the named stream."""
        return np.random.Generator(np.random.PCG64(self.sequence(purpose, interval=interval, replicate=replicate)))

    def integer(self, purpose: str, *, interval: int = 0, replicate: int = 0) -> int:
        """A seed in [0, 2**63) for generators of other libraries."""
        words = self.sequence(purpose, interval=interval, replicate=replicate).generate_state(1, np.uint64)
        return int(words[0]) >> 1

    def relabelled(self, label: str) -> Streams:
        """The streams of another label with the same seed."""
        return Streams(self.seed, label)
