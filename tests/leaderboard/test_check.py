from duelgym_bench.leaderboard.check import check


def test_x(home):
    c = check(home.submission, home.root)
    print(c.submission)
