"""The leaderboard: submissions that are recomputed, replayed and run again, and rounds that rank them.

A row's status says how far it can be believed:

``reported``
    :mod:`check <duelgym_bench.leaderboard.check>` has found its files whole and its claims equal to what its logs say.
``replayed``
    :mod:`replay <duelgym_bench.leaderboard.replay>` has shown that every context and preference in its logs is what the
    environment gives. Its seeds are public all the same, so neither is ranked.
``verified``
    Maintainers have run its code on a round's pool and seeds, which nobody could know: ranked.
"""
