"""The named agents: published systems, as the compositions that their papers describe."""

from __future__ import annotations

from dataclasses import dataclass, replace

from duelgym_agents import exploration as rules
from duelgym_agents.catalogue import REWARD_MODELS, ModelSettings
from duelgym_agents.exploration import AnyRule
from duelgym_agents.reward_models import LinearSettings, NetworkSettings, PriorSettings


@dataclass(frozen=True)
class AgentSpec:
    """One agent that is composed of parts.

    Attributes:
        name: as given on command lines.
        rule: exploration rule with its settings.
        reward_model: name of the kind of reward model it learns.
        settings: of the reward model.
        as_published: whether a paper pairs this rule with this reward model. Effects of rules are read off
            agents of equal reward model, not off these rows.
        doc: what it is, what the paper leaves open and what was chosen.
    """

    name: str
    rule: AnyRule
    reward_model: str
    settings: ModelSettings
    as_published: bool
    doc: str


_EE2024 = (
    "In the manner of Dwaracherla et al. (2024), who leave open network size, optimiser, learning rate, steps, "
    "minibatch, regulariser and its decay: see ReplaySettings for what was chosen, untuned and equal for all agents. Whether "
    "particles add a frozen prior network is open too; chosen: none."
)
_EE2026 = (
    "In the manner of Efficient Exploration at Scale (2603.17378), with candidates that stay as they are: pairs of largest "
    "variance of the win probability over particles that are a frozen prior network and a trained one, recommendation "
    "by the point head. Open: learning rate, optimiser, regulariser, whether particles add the point head; chosen: as "
    "for the other agents, and not."
)
_SEA = (
    "In the manner of SEA (2411.01493) and its code, oat: 20 networks of 2 x 128, steps of 128 duels at 1e-3 on the last "
    "50 000 duels: 5 for every 128 labels there, 1 for every 32 here. Its regulariser is a mean over weights, 2.3e-4 in the sum form used here for its 278 913 weights; its "
    "weight decay of 5e-5 is left out; what the paper leaves open is as in that code. Candidates stay as they are, and the policy is the best of N."
)
_ACTIVEUF = (
    "In the manner of ActiveUltraFeedback (2603.09692) and its code: 20 networks of 2 x 128 at 5e-5, bounds at one "
    "standard deviation. There each batch of 64 labels is followed by one pass over its last 100 batches or a part of them, so by 1 step of 64 "
    "at first and by 100 at most, at a rate that falls as a cosine; here every 32 labels by 50 steps on the last 3 200, at one "
    "rate, from the first batch on: four times as many over the first 3 200 labels. Its regulariser, a "
    "mean over some 344 000 weights beside a mean over duels, is 1e-3 in the sum form used here at 344 duels, and falls tenfold in "
    "some 310, which the half-life keeps; its term that centres rewards is left out. What the paper leaves open is as in that code. Labels here are Bradley-Terry bits, there a judge's scores compared."
)
_LINEAR = "On features in which the utility is taken to be linear: the embeddings of the responses."
_RIDGE = (
    f"{_LINEAR} The paper's estimate is maximum likelihood with a ridge, here the mean of a Gaussian posterior; its constants "
    "come from bounds, here confidence 2."
)

_ADDITIVE = (
    "duelgym's own agent, from no paper: Thompson sampling in an additive Gaussian process on features relative to the "
    "prompt's other candidates, scaled by unlabelled ones, with beliefs that stay open where features do not suffice."
)

_POINT = REWARD_MODELS["point"].settings
_ENSEMBLE = REWARD_MODELS["ensemble"].settings
_PRIOR = PriorSettings()
_PUBLISHED_PRIOR = replace(_PRIOR, n_particles=100, hidden_sizes=(1024, 1024), prior_hidden_sizes=(256, 256))
_SEA_NETWORKS = NetworkSettings(n_particles=20, steps=1, regularizer=2.3e-4, buffer_capacity=50_000)
_ACTIVEUF_NETWORKS = NetworkSettings(
    n_particles=20,
    learning_rate=5e-5,
    steps=50,
    minibatch_size=64,
    regularizer=1e-3,
    regularizer_half_life=93.0,
    buffer_capacity=3200,
)
_RESPONSES = LinearSettings(features="response")


def _published(name: str, rule: AnyRule, reward_model: str, settings: ModelSettings, doc: str) -> AgentSpec:
    return AgentSpec(name, rule, reward_model, settings, as_published=True, doc=doc)


AGENTS: dict[str, AgentSpec] = {
    spec.name: spec
    for spec in (
        _published(
            "ee2024-passive", rules.Passive(), "point", _POINT, f"Uniform pairs, point MLP held near zero. {_EE2024}"
        ),
        _published(
            "ee2024-boltzmann",
            rules.Boltzmann(),
            "point",
            _POINT,
            f"Odds exp(utility / temperature), point MLP held near zero; temperature open, 1 chosen. {_EE2024}",
        ),
        _published(
            "ee2024-infomax",
            rules.Infomax(),
            "ensemble",
            _ENSEMBLE,
            f"Largest variance of the win probability; the number of samples is open, each particle once. {_EE2024}",
        ),
        _published(
            "ee2024-double_thompson",
            rules.DoubleThompson(),
            "ensemble",
            _ENSEMBLE,
            f"Favourites of two particles; the number of retries is open, 30 chosen. {_EE2024}",
        ),
        AgentSpec(
            "passive-ensemble",
            rules.Passive(),
            "ensemble",
            _ENSEMBLE,
            as_published=False,
            doc=f"Uniform pairs with the reward model of infomax and double Thompson. {_EE2024}",
        ),
        AgentSpec(
            "boltzmann-ensemble",
            rules.Boltzmann(),
            "ensemble",
            _ENSEMBLE,
            as_published=False,
            doc=f"Boltzmann on the mean of the ensemble that infomax and double Thompson use. {_EE2024}",
        ),
        _published(
            "ee2026-ide-full",
            rules.Infomax(),
            "randomised_prior",
            _PUBLISHED_PRIOR,
            f"{_EE2026} 100 particles, 2 x 1024 trained and 2 x 256 frozen, as published.",
        ),
        AgentSpec(
            "ee2026-ide",
            rules.Infomax(),
            "randomised_prior",
            _PRIOR,
            as_published=False,
            doc=f"{_EE2026} Smaller than published: 10 particles, 2 x 128 trained and 2 x 64 frozen.",
        ),
        AgentSpec(
            "additive-thompson",
            rules.DoubleThompson(),
            "additive",
            REWARD_MODELS["additive"].settings,
            as_published=False,
            doc=f"{_ADDITIVE} Embeddings alone.",
        ),
        AgentSpec(
            "additive-thompson-text",
            rules.DoubleThompson(),
            "additive_text",
            REWARD_MODELS["additive_text"].settings,
            as_published=False,
            doc=f"{_ADDITIVE} Embeddings, and the length and layout of texts (text track).",
        ),
        _published("sea-passive", rules.Passive(), "ensemble", _SEA_NETWORKS, f"Uniform pairs. {_SEA}"),
        _published(
            "sea-ee",
            rules.ParticlesWithoutReplacement(),
            "ensemble",
            _SEA_NETWORKS,
            f"Favourites of two particles, the second tried without replacement (its E&E rule). {_SEA}",
        ),
        _published(
            "sea-bai",
            rules.ThompsonMaxVariance(),
            "ensemble",
            _SEA_NETWORKS,
            f"A particle's favourite against the candidate of least certain win probability (its BAI rule). {_SEA}",
        ),
        _published(
            "sea-uncertainty",
            rules.InfomaxLogit(),
            "ensemble",
            _SEA_NETWORKS,
            f"Largest variance of the logit, its code's default. {_SEA}",
        ),
        _published(
            "activeuf-random",
            rules.UniformPair(with_replacement=True),
            "ensemble",
            _ACTIVEUF_NETWORKS,
            f"Two draws with replacement: a duel of one with itself is a label lost, as there. {_ACTIVEUF}",
        ),
        _published(
            "activeuf-infomax", rules.InfomaxWidth(), "ensemble", _ACTIVEUF_NETWORKS, f"Widest interval. {_ACTIVEUF}"
        ),
        _published(
            "activeuf-dts",
            rules.MarginalThompson(max_retries=29),
            "ensemble",
            _ACTIVEUF_NETWORKS,
            f"Thompson sampling with independent noise for each candidate. {_ACTIVEUF}",
        ),
        _published(
            "activeuf-drts",
            rules.ReverseDoubleThompson(max_retries=29),
            "ensemble",
            _ACTIVEUF_NETWORKS,
            f"A sampled favourite against a sampled worst. {_ACTIVEUF}",
        ),
        _published(
            "activeuf-info_gain",
            rules.ThompsonMaxWidth(),
            "ensemble",
            _ACTIVEUF_NETWORKS,
            f"A sampled favourite against the candidate of widest interval. {_ACTIVEUF}",
        ),
        _published(
            "activeuf-delta_ucb",
            rules.DeltaUCB(),
            "ensemble",
            _ACTIVEUF_NETWORKS,
            f"Largest optimistic gap. {_ACTIVEUF}",
        ),
        _published(
            "activeuf-delta_quantile",
            rules.DeltaQuantile(),
            "ensemble",
            _ACTIVEUF_NETWORKS,
            f"A quantile of the optimistic gaps. {_ACTIVEUF}",
        ),
        _published(
            "activeuf-max_min_lcb",
            rules.MaxMinLCB(joint=False, plausible_only=False),
            "ensemble",
            _ACTIVEUF_NETWORKS,
            "Best worst-case lower bound, against its toughest rival; deviations of the two added, no candidate left out. "
            f"{_ACTIVEUF}",
        ),
        _published(
            "apo",
            rules.DOptimal(),
            "bayesian_linear",
            _RESPONSES,
            f"Active preference optimisation (2402.10500): the least certain difference. {_LINEAR} Open: the ridge, here "
            "the model's default prior; the prompt, which the paper chooses too, is the environment's.",
        ),
        _published("colstim", rules.CoLSTIM(), "bayesian_linear", _RESPONSES, f"CoLSTIM (2202.04593). {_RIDGE}"),
        _published(
            "fgts-cdb",
            rules.FeelGoodThompson(),
            "bayesian_linear",
            _RESPONSES,
            f"Feel-good Thompson sampling (FGTS.CDB, 2404.06013). {_LINEAR} Open: how the tilted posterior is sampled and the weight "
            "of the feel-good term; chosen: resampling, and 1 (see the rule).",
        ),
        _published(
            "vacdb",
            rules.VarianceAware(),
            "bayesian_linear",
            _RESPONSES,
            f"Variance-aware (VACDB, 2310.00968). {_RIDGE}",
        ),
        _published(
            "stad",
            rules.StagewiseDuel(),
            "bayesian_linear",
            _RESPONSES,
            f"Sta'D (Saha 2021, 2002.08583): the most informative pair among plausible winners. {_RIDGE}",
        ),
    )
}
