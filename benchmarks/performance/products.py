"""What the networks of `ee2024` multiply, and how fast this machine multiplies: shared by the scripts beside it.

Only the dense layers' products count as useful operations (one multiplication and one addition each): the forward pass of
every candidate; in training also weight gradients and input gradients, without the input gradients of the first layer,
which nobody needs; the prompt's part of the first layer once per prompt. All else (scaling, activations, Adam, the rule,
the buffer) is overhead.
"""

from __future__ import annotations

import math
import statistics
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import torch

from duelgym_agents.reward_models import NetworkSettings

MOST_ROWS = 1024  # longer products are timed in pieces that stay in cache, as the networks make them
TIMED = 2 * 10**7  # operations at least, at a time


class Product(NamedTuple):
    """A (rows, inner) times an (inner, columns) matrix, for every particle."""

    particles: int
    rows: int
    inner: int
    columns: int

    @property
    def operations(self) -> int:
        """Multiplications and additions."""
        return 2 * math.prod(self)


Products = Counter[Product]
"""How often each product is made."""


def evaluating(settings: NetworkSettings, dims: tuple[int, int], prompts: int, n_candidates: int) -> Products:
    """Return the products of one forward pass; ``dims`` are the features of a candidate and of a prompt."""
    first, deeper = _layers(settings, dims, prompts, n_candidates)
    return Counter(first + deeper)


def training(settings: NetworkSettings, dims: tuple[int, int], labels: int) -> Products:
    """Return the products of the optimiser's steps after so many labels."""
    first, deeper = _layers(settings, dims, settings.minibatch_size, 2)
    weights = [Product(p, inner, rows, columns) for p, rows, inner, columns in first + deeper]
    inputs = [Product(p, rows, columns, inner) for p, rows, inner, columns in deeper]
    return times(settings.steps_after(0, labels), Counter(first + deeper + weights + inputs))


def _layers(
    settings: NetworkSettings, dims: tuple[int, int], prompts: int, n_candidates: int
) -> tuple[list[Product], list[Product]]:
    """Return the forward products of the first layer, and of those behind it."""
    candidate_dim, prompt_dim = dims
    particles, rows, widths = settings.n_particles, prompts * n_candidates, (*settings.hidden_sizes, 1)
    first = [Product(particles, rows, candidate_dim, widths[0]), Product(particles, prompts, prompt_dim, widths[0])]
    return first, [Product(particles, rows, inner, columns) for inner, columns in pairwise(widths)]


def times(count: int, products: Products) -> Products:
    """Return the products made ``count`` times as often."""
    return Counter({product: count * often for product, often in products.items()})


def operations(products: Products) -> int:
    """Return the operations of all products."""
    return sum(often * product.operations for product, often in products.items())


def matrix_product_rate() -> float:
    """Return the float32 rate of a 2048 x 2048 x 2048 product, in operations per second (median of 7)."""
    left, right = torch.rand(2048, 2048), torch.rand(2048, 2048)
    return 2 * 2048**3 / _seconds(lambda: left @ right)


def product_rate(product: Product) -> float:
    """Return the float32 rate of a product of its own shape, in operations per second (median of 7)."""
    particles, rows, inner, columns = product
    if columns == 1:  # the networks make it as a product of row vectors, which is faster
        rows, columns = columns, rows
    piece = product._replace(rows=min(rows, MOST_ROWS), columns=min(columns, MOST_ROWS))
    left, right = torch.rand(particles, piece.rows, inner), torch.rand(particles, piece.columns, inner).mT
    often = 1 + TIMED // piece.operations  # a small one takes no longer than looking at the clock

    def work() -> None:
        for _ in range(often):
            torch.bmm(left, right)

    return often * piece.operations / _seconds(work)


def _seconds(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(7):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)
