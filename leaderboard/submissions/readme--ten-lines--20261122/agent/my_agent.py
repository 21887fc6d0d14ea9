import numpy as np


class Taste:
    def __init__(self, *, candidate_dim, **rest):
        self.taste = np.zeros(candidate_dim)

    def select_pairs(self, contexts):  # the two that are liked best so far
        return np.argsort(-(contexts.candidates @ self.taste), axis=1)[:, :2]

    def observe(self, contexts, pairs, preferences):  # 0 first won, 1 second won, 2 no answer, 3 tie
        first, second = (contexts.candidates[np.arange(len(pairs)), side] for side in pairs.T)
        self.taste += np.array([1, -1, 0, 0])[preferences] @ (first - second)

    def recommend(self, contexts):
        return np.argmax(contexts.candidates @ self.taste, axis=1)
