"""Random numbers for kernels: uniform numbers, geometric gaps, and words whose bits are independent coins.

The generator is xoshiro256++ (Blackman and Vigna, ACM Trans. Math. Software 47, 36 (2021)); its states come from a NumPy
generator. `LANES` of them, side by side, fill words in bulk: loops over lanes become vector instructions.

A word of coins with chance p = 0.b1 b2 ... bK (binary) takes K random words, from the last digit to the first: `or` where the
digit is 1, `and` where it is 0. What p has beyond `DIGITS` digits is added as rare hits at geometric gaps, so that the chance
is p to double precision.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import numba
import numpy as np
from numpy.typing import NDArray

from mesocosm_agents.arrays import FloatArray, IntArray
from mesocosm_agents.kernels import Function, compiled

WordArray = NDArray[np.uint64]

LANES = 64
DIGITS = 10
_BLOCK = 512
_HALF_ROOT = np.int64(0x3FE6A09E667F3BCD)
"""The bits of the square root of 1/2."""
_SERIES = tuple(1.0 / order for order in range(21, 0, -2))
_LEAST = 2.0**-53
"""Waiting times are not zero, so that their product with an endless scale is endless."""
_LOG_2 = float(np.log(2.0))
NEVER = 2.0**60
"""A gap longer than anything that is sampled."""


def vectorised(function: Function) -> Function:
    """As `compiled`, without checks for division by zero, which keep loops from becoming vector instructions."""
    return cast(Function, numba.njit(nogil=True, cache=True, error_model="numpy")(function))


class Coins(NamedTuple):
    """Random bits, and the chance that they are asked for.

    `lanes` [4, LANES] and `single` [4]: states of generators. `words` [block]: coins that were last tossed. `digits` [DIGITS]:
    binary digits of the chance, the last one first, each as a word of ones or zeros. `rest` [1]: -1 / log(1 - chance) of the
    hits that are added; `gap` [1]: how many coins there are before the next of them. `waits` [block]: exponential waiting
    times, of which the first `used` [1] are spent.
    """

    lanes: WordArray
    single: WordArray
    words: WordArray
    digits: WordArray
    rest: FloatArray
    gap: IntArray
    waits: FloatArray
    used: IntArray


def make_coins(generator: np.random.Generator) -> Coins:
    """Coins whose random numbers `generator` decides."""
    states = generator.integers(0, 2**64, size=(4, LANES + 1), dtype=np.uint64)
    return Coins(
        lanes=np.ascontiguousarray(states[:, 1:]),
        single=np.ascontiguousarray(states[:, 0]),
        words=np.zeros(_BLOCK, np.uint64),
        digits=np.zeros(DIGITS, np.uint64),
        rest=np.zeros(1),
        gap=np.zeros(1, np.int64),
        waits=np.zeros(_BLOCK),
        used=np.full(1, _BLOCK, np.int64),
    )


@compiled
def uniform(state: WordArray) -> float:
    """A uniform number on (0, 1], a multiple of 2^-53, from a generator's `state` [4]."""
    a, b, c, d = state[0], state[1], state[2], state[3]
    total = a + d
    drawn = ((total << np.uint64(23)) | (total >> np.uint64(41))) + a
    shifted = b << np.uint64(17)
    c ^= a
    d ^= b
    state[1] = b ^ c
    state[0] = a ^ d
    state[2] = c ^ shifted
    state[3] = (d << np.uint64(45)) | (d >> np.uint64(19))
    return (np.float64(drawn >> np.uint64(11)) + 1.0) * 2.0**-53


@vectorised
def refill(coins: Coins) -> None:
    """Draw `waits` afresh: -log(x) of uniform numbers x on (0, 1], multiples of 2^-52, to 2e-15.

    With x = 2^e m and s = (m - 1) / (m + 1), log x is e log 2 + 2 (s + s^3/3 + s^5/5 + ...). Written out because the loop is
    vectorised, which a call of `log` is not.
    """
    first, second, third, fourth = coins.lanes[0], coins.lanes[1], coins.lanes[2], coins.lanes[3]
    scaled, exponents = np.empty(LANES), np.empty(LANES)
    scaled_bits = scaled.view(np.int64)
    for start in range(0, len(coins.waits), LANES):
        waits = coins.waits[start : start + LANES]
        bits = waits.view(np.int64)
        for lane in range(LANES):
            a, b, c, d = first[lane], second[lane], third[lane], fourth[lane]
            total = a + d
            drawn = ((total << np.uint64(23)) | (total >> np.uint64(41))) + a
            shifted = b << np.uint64(17)
            c ^= a
            d ^= b
            first[lane], second[lane], third[lane] = a ^ d, b ^ c, c ^ shifted
            fourth[lane] = (d << np.uint64(45)) | (d >> np.uint64(19))
            # The bits of a number on [1, 2).
            bits[lane] = np.int64(drawn >> np.uint64(12)) | np.int64(0x3FF0000000000000)
        for lane in range(LANES):
            waits[lane] = 2.0 - waits[lane]
        for lane in range(LANES):
            exponent = (bits[lane] - _HALF_ROOT) >> np.int64(52)
            scaled_bits[lane] = bits[lane] - (exponent << np.int64(52))
            exponents[lane] = exponent
        for lane in range(LANES):
            ratio = (scaled[lane] - 1.0) / (scaled[lane] + 1.0)
            square = ratio * ratio
            series = _SERIES[0]
            for order in range(1, len(_SERIES)):
                series = series * square + _SERIES[order]
            waits[lane] = max(_LEAST, -(exponents[lane] * _LOG_2 + 2.0 * ratio * series))
    coins.used[0] = 0


@compiled
def misses(coins: Coins, scale: float) -> int:
    """Misses before the next hit, where `scale` is -1 / log(1 - chance); at most 2^60.

    Kernels that land many hits read `waits` themselves: passing `coins` costs more than a hit.
    """
    if coins.used[0] == len(coins.waits):
        refill(coins)
    coins.used[0] += 1
    return int(min(coins.waits[coins.used[0] - 1] * scale, NEVER))


@compiled
def spacing(chance: float) -> float:
    """The `scale` of `misses` for a chance in [0, 1]."""
    if chance < 1e-18:
        return np.inf
    return -1.0 / np.log1p(-chance) if chance < 1.0 else 0.0


@compiled
def set_chance(coins: Coins, chance: float) -> None:
    """Ask for coins that show heads with a chance in [0, 1]."""
    scale = 2**DIGITS
    whole = min(int(chance * scale), scale - 1)
    for place in range(DIGITS):
        coins.digits[place] = np.uint64(0xFFFFFFFFFFFFFFFF) if (whole >> place) & 1 else np.uint64(0)
    missing = (chance * scale - whole) / (scale - whole)
    coins.rest[0] = spacing(missing)
    coins.gap[0] = misses(coins, coins.rest[0])


@vectorised
def toss(coins: Coins) -> None:
    """Fill `words` with independent coins of the chance that was set."""
    first, second, third, fourth = coins.lanes[0], coins.lanes[1], coins.lanes[2], coins.lanes[3]
    digits, words = coins.digits, coins.words
    for start in range(0, len(words), LANES):
        block = words[start : start + LANES]
        for lane in range(LANES):
            a, b, c, d = first[lane], second[lane], third[lane], fourth[lane]
            heads = np.uint64(0)
            # A constant number of rounds: unrolled, so that the loop over lanes is the innermost one and is vectorised.
            for place in range(DIGITS):
                total = a + d
                drawn = ((total << np.uint64(23)) | (total >> np.uint64(41))) + a
                shifted = b << np.uint64(17)
                c ^= a
                d ^= b
                b ^= c
                a ^= d
                c ^= shifted
                d = (d << np.uint64(45)) | (d >> np.uint64(19))
                heads = (heads & drawn) | (digits[place] & (heads | drawn))
            first[lane], second[lane], third[lane], fourth[lane] = a, b, c, d
            block[lane] = heads
    waits, scale, used = coins.waits, coins.rest[0], coins.used[0]
    place, size = coins.gap[0], 64 * len(words)
    while place < size:
        words[place >> 6] |= np.uint64(1) << np.uint64(place & 63)
        if used == len(waits):
            refill(coins)
            used = 0
        place += 1 + int(min(waits[used] * scale, NEVER))
        used += 1
    coins.gap[0], coins.used[0] = place - size, used
