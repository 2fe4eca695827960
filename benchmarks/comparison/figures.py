# SPDX-License-Identifier: Apache-2.0
"""A figure that was measured several times: the median, and how far the others lie apart."""

import dataclasses
import statistics

# Below this, two servers are not told apart.
NOISE = 0.03


@dataclasses.dataclass(frozen=True)
class Figure:
    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values):
        """None if there are none."""
        return cls(statistics.median(values), min(values), max(values)) if values else None

    def __str__(self):
        """One that was counted once has no ends."""
        ends = [brief(each) for each in (self.median, self.low, self.high)]
        return ends[0] if self.low == self.high else "%s (%s-%s)" % tuple(ends)


def brief(value):
    """With as many digits as mean something."""
    if value >= 100:
        return "{:,.0f}".format(value)
    return ("%.1f" if value >= 10 else "%.2f") % value


def plain(value):
    """A limit as one would say it."""
    return "{:,g}".format(value)


def verdict(figure, goal):
    """Whether a ratio, of which more is better, reaches its goal."""
    if figure is None:
        return "not measured"
    if figure.median >= goal:
        return "met"
    return "within the noise" if figure.median >= goal - NOISE else "not met"


def verdict_of_cost(value, goal):
    """Whether something counted, of which less is better, does."""
    if value is None:
        return "not measured"
    return "met" if value <= goal else "not met"


def rotated(items, by):
    by %= max(len(items), 1)
    return items[by:] + items[:by]
