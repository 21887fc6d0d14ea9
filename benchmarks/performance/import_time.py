"""How long `import duelgym` takes, beside its two dependencies alone, and whether it brings anything heavy.

Run: python benchmarks/performance/import_time.py
Target: under 0.5 s, without torch.
"""

from __future__ import annotations

import subprocess
import sys

import numpy as np

REPETITIONS = 9
_TIMED = "import sys, time; started = time.perf_counter(); import {}; print(time.perf_counter() - started, 'torch' in sys.modules)"


def main() -> None:
    """Print both times and their ratio, medians over interleaved fresh processes."""
    times, heavy = [], False
    for _ in range(REPETITIONS):
        row = []
        for modules in ("duelgym", "gymnasium, numpy, jaxtyping"):
            command = [sys.executable, "-c", _TIMED.format(modules)]
            seconds, torch = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
            row.append(float(seconds))
            heavy |= torch == "True"
        times.append(row)
    ours, theirs = np.median(times, axis=0)
    print(
        f"import duelgym {ours:.3f} s  gymnasium, numpy, jaxtyping {theirs:.3f} s  ratio {ours / theirs:.2f}  torch {heavy}"
    )


if __name__ == "__main__":
    main()
