from __future__ import annotations

import pytest

from duelgym.errors import SpecificationError
from duelgym_agents.reward_models import (
    DropoutSettings,
    EpinetSettings,
    LaplaceSettings,
    LinearSettings,
    NetworkSettings,
    PriorSettings,
)


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (NetworkSettings, "n_particles", 0),
        (NetworkSettings, "bootstrap", 1),
        (NetworkSettings, "hidden_sizes", ()),
        (NetworkSettings, "hidden_sizes", (8, 0)),
        (NetworkSettings, "hidden_sizes", 8),
        (NetworkSettings, "learning_rate", 0.0),
        (NetworkSettings, "learning_rate", float("inf")),
        (NetworkSettings, "steps", -1),
        (NetworkSettings, "minibatch_size", 2.0),
        (NetworkSettings, "regularizer", -1.0),
        (NetworkSettings, "regularizer_half_life", 0.0),
        (NetworkSettings, "regularizer_half_life", "93"),
        (NetworkSettings, "anchor", "start"),
        (NetworkSettings, "buffer_capacity", True),
        (NetworkSettings, "features", "auto"),
        (PriorSettings, "prior_hidden_sizes", (4, -1)),
        (PriorSettings, "prior_scale", -0.5),
        (PriorSettings, "particles_add_point", None),
        (EpinetSettings, "index_dim", 0),
        (EpinetSettings, "indices_per_step", 1.5),
        (EpinetSettings, "n_samples", 0),
        (EpinetSettings, "epinet_hidden_sizes", []),
        (EpinetSettings, "prior_hidden_sizes", "8"),
        (EpinetSettings, "prior_scale", float("nan")),
        (EpinetSettings, "bootstrap", "yes"),
        (DropoutSettings, "dropout_rate", 0.0),
        (DropoutSettings, "dropout_rate", 1.0),
        (DropoutSettings, "dropout_rate", True),
        (DropoutSettings, "dropout_rate", "0.2"),
        (DropoutSettings, "n_samples", -3),
        (LaplaceSettings, "regularizer", 0.0),
        (LaplaceSettings, "posterior_scale", 0.0),
        (LaplaceSettings, "n_samples", True),
        (LinearSettings, "features", "concat"),
        (LinearSettings, "prior_scale", 0.0),
        (LinearSettings, "likelihood_power", 1.01),
        (LinearSettings, "likelihood_power", 0.0),
        (LinearSettings, "n_samples", 0),
    ],
)
def test_settings_out_of_range_are_refused_by_name(kind, name, value):
    with pytest.raises(SpecificationError, match=rf"^{name}(\[1\])? is .*; it must be") as caught:
        kind(**{name: value})
    assert "\n" not in str(caught.value)


def test_a_laplace_approximation_has_a_prior_that_labels_do_not_weaken():
    with pytest.raises(SpecificationError, match=r"regularizer_half_life is 93\.0; a Laplace approximation takes only"):
        LaplaceSettings(regularizer_half_life=93.0)


def test_sizes_of_layers_may_come_from_json():
    assert NetworkSettings(hidden_sizes=[8, 4]).hidden_sizes == (8, 4)
    assert PriorSettings(prior_hidden_sizes=[3]).prior_hidden_sizes == (3,)
    assert EpinetSettings(epinet_hidden_sizes=[5], prior_hidden_sizes=[2, 2]).epinet_hidden_sizes == (5,)
