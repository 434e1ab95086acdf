"""Exact minimum of a small convex quadratic with an uneven absolute-value price on each number, and bounds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_TOLERANCE = 1e-10


class ActiveSet:
    """minimises w'Aw/2 - b.w + sum (above * max(w, 0) + below * max(-w, 0)) for lower <= w <= upper.

    ``curvature`` A [p, p], positive definite; ``constant`` b [p]; ``above``, ``below`` [p] >= 0.

    Each number is either free, with a known sign, or rests at 0 or at a bound. Newton steps over the
    free ones end at the first 0 or bound in their way, where that number comes to rest; when a full step
    fits, the resting number that pulls hardest is set free (Lee et al., "Efficient sparse coding
    algorithms", 2007, with unequal prices and bounds). Every step lowers the objective, so it ends.
    """

    def __init__(
        self,
        curvature: NDArray,
        constant: NDArray,
        above: NDArray,
        below: NDArray,
        lower: float,
        upper: float,
    ):
        self._a, self._b = curvature, constant
        self._above, self._below = above, below
        self._lower, self._upper = lower, upper

    def minimum(self, start: NDArray) -> NDArray:
        """The minimum [p]; ``start`` [p] within the bounds."""
        w = start.astype(float)
        sign = np.sign(w)
        free = (sign != 0) & (w > self._lower) & (w < self._upper)
        scale = max(float(np.abs(self._b).max(initial=0.0)), float(np.abs(self._above).max(initial=0.0)), 1e-300)
        for _ in range(50 * len(w) + 50):
            if free.any() and not self._step(w, sign, free):
                continue
            freed = self._hardest_pull(w, scale)
            if freed is None:
                return w
            index, direction = freed
            free[index] = True
            sign[index] = direction if w[index] == 0 else np.sign(w[index])
        return w  # rounding lets two steps undo each other: as good as the minimum

    def _step(self, w: NDArray, sign: NDArray, free: NDArray) -> bool:
        """Moves the free numbers towards their minimum, in place; False if one came to rest on the way."""
        price = np.where(sign > 0, self._above, -self._below)
        slope = (self._a @ w - self._b + price)[free]
        move = -np.linalg.solve(self._a[np.ix_(free, free)], slope)
        here, signs = w[free], sign[free]
        # How far along each may go: to 0 against its sign, to the bound with it.
        floor = np.where(signs > 0, max(0.0, self._lower), self._lower)
        ceiling = np.where(signs < 0, min(0.0, self._upper), self._upper)
        limit = np.where(move > 0, ceiling, floor)
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = np.where(move == 0, np.inf, (limit - here) / move)
        part = float(reach.min())
        indices = np.flatnonzero(free)
        if part >= 1:
            w[indices] = here + move
            return True
        w[indices] = here + part * move
        resting = reach <= part
        w[indices[resting]] = limit[resting]
        free[indices[resting]] = False
        sign[indices[resting]] = np.sign(limit[resting])
        return False

    def _hardest_pull(self, w: NDArray, scale: float) -> tuple[int, int] | None:
        """(index, direction) of the resting number whose release lowers the objective fastest."""
        slope = self._a @ w - self._b
        up = slope + np.where(w >= 0, self._above, -self._below)  # derivative to the right
        down = -slope + np.where(w > 0, -self._above, self._below)  # and to the left
        up[w >= self._upper] = np.inf
        down[w <= self._lower] = np.inf
        steepest = np.minimum(up, down)
        index = int(steepest.argmin())
        if steepest[index] >= -_TOLERANCE * scale:
            return None
        return index, 1 if up[index] < down[index] else -1
