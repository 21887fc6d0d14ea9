"""Weights & Biases as far as the tests of trackers need it."""

import types


class StandIn(types.ModuleType):
    """Weights & Biases as far as a run needs it; keeps the calls."""

    def __init__(self):
        super().__init__("wandb")
        self.begun, self.steps, self.exits = [], [], []

    def init(self, **arguments):
        self.begun.append(arguments)
        return self

    def log(self, values, step):
        self.steps.append((step, values["win_rate"]))

    def finish(self, exit_code):
        self.exits.append(exit_code)
