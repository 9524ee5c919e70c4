"""How sure a figure from few samples is. Pure; all intervals are at 95 %.

Shares: the score interval of E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
Journal of the American Statistical Association 22 (1927), pp. 209-212. It stays within 0 and 1, for small samples too.

Medians: durations and costs spread as a log-normal distribution does, whose median is `exp` of the mean of the
logarithms. Its interval is Student's for that mean: `exp(m ± t(n-1) s / sqrt(n))`. The three sums that it is made of
(of 1, of ln x, of its square) can be added and taken away again, which no list of samples can in a table of days.
"""

from __future__ import annotations

import math

from engine.model import Share, Typical

Z = 1.959964  #: the normal distribution has 95 % within so many standard deviations
SCALE = 10_000  #: logarithms are kept as integers of so many parts, so that sums are exact in any order

#: Student's t for 97.5 %, by degrees of freedom from 1 on.
_T = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip


def share(count: int, of: int) -> Share:
    """So many of so many, with Wilson's interval: everything where there is no sample."""
    if of <= 0:
        return Share(0, 0, 0.0, 1.0)
    wide = Z * Z
    middle = (count + wide / 2) / (of + wide)
    half = Z / (of + wide) * math.sqrt(count * (of - count) / of + wide / 4)
    return Share(count, of, max(0.0, middle - half), min(1.0, middle + half))


def logarithm(value: int) -> int:
    """The natural logarithm of one more than a value, which may be 0, in parts of `SCALE`."""
    return round(math.log1p(max(0, value)) * SCALE)


def typical(samples: int, total: int, squares: int) -> Typical | None:
    """The median from the sums of logarithms and of their squares. None without a sample."""
    if samples <= 0:
        return None
    mean = total / samples / SCALE
    if samples == 1:
        return Typical(1, _back(mean))
    # In integers up to here: the difference of two large sums would lose its last digits.
    spread = max(0, samples * squares - total * total) / (samples * (samples - 1)) / SCALE**2
    half = student(samples - 1) * math.sqrt(spread / samples)
    return Typical(samples, _back(mean), _back(mean - half), _back(mean + half))


def student(freedom: int) -> float:
    """Student's t for a two-sided interval of 95 %.

    Beyond the table by the first terms of its expansion: M. Abramowitz and I. A. Stegun, "Handbook of Mathematical
    Functions" (1964), 26.7.5.
    """
    if freedom <= len(_T):
        return _T[freedom - 1]
    return Z + (Z**3 + Z) / (4 * freedom) + (5 * Z**5 + 16 * Z**3 + 3 * Z) / (96 * freedom**2)


def _back(log: float) -> int:
    return round(math.expm1(max(0.0, min(log, 40.0))))
