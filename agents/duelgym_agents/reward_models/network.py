"""Many small networks of one shape, evaluated and differentiated as one batched computation."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float32


class StackedMLP:
    """``n_particles`` independent ReLU networks that map (candidate, prompt) to a utility.

    The first layer is linear in the candidate and in the prompt, so the prompt's part of it is computed once per
    prompt and shared by that prompt's candidates. There is no bias on the output, which cancels in every duel.

    Weights are drawn with variance 1 / inputs in the first layer and 2 / inputs after each ReLU (He et al. 2015),
    so that inputs of unit mean square give utilities of unit variance. All weights live in one flat tensor,
    ``parameters``; :meth:`backward` fills ``gradient``, which has the same layout.

    Args:
        n_particles: how many networks.
        input_dims: features of a candidate, and of a prompt.
        hidden_sizes: width of each hidden layer; at least one.
        rng: draws the weights.
    """

    def __init__(
        self,
        *,
        n_particles: int,
        input_dims: tuple[int, int],
        hidden_sizes: tuple[int, ...],
        rng: np.random.Generator,
    ) -> None:
        candidate_dim, prompt_dim = input_dims
        inputs = candidate_dim + prompt_dim
        layers = [((candidate_dim, hidden_sizes[0]), 1 / inputs), ((prompt_dim, hidden_sizes[0]), 1 / inputs)]
        layers.append(((1, hidden_sizes[0]), 0.0))
        for before, after in pairwise(hidden_sizes):
            layers += [((before, after), 2 / before), ((1, after), 0.0)]
        layers.append(((1, hidden_sizes[-1]), 2 / hidden_sizes[-1]))
        self.n_particles = n_particles
        self.width = n_particles * max(hidden_sizes)
        self._shapes = [(n_particles, *shape) for shape, _ in layers]
        self._sizes = [int(np.prod(shape)) for shape in self._shapes]
        weights = [
            rng.standard_normal(size, dtype=np.float32) * np.float32(variance**0.5)
            for size, (_, variance) in zip(self._sizes, layers, strict=True)
        ]
        self.parameters: Float32[torch.Tensor, " weights"] = torch.from_numpy(np.concatenate(weights))
        self.gradient: Float32[torch.Tensor, " weights"] = torch.zeros_like(self.parameters)

    def utilities(
        self,
        candidates: Float32[torch.Tensor, "batch n_candidates candidate_dim"],
        prompts: Float32[torch.Tensor, "batch prompt_dim"],
    ) -> Float32[torch.Tensor, "n_particles batch n_candidates"]:
        """Return every network's utility of every candidate."""
        return self.output(self.hidden(candidates, prompts))

    def backward(
        self,
        candidates: Float32[torch.Tensor, "duels 2 candidate_dim"],
        prompts: Float32[torch.Tensor, "duels prompt_dim"],
        targets: Float32[torch.Tensor, " duels"],
        weights: Float32[torch.Tensor, "n_particles duels"] | None = None,
        offsets: Float32[torch.Tensor, "n_particles duels 2"] | None = None,
    ) -> Float32[torch.Tensor, " n_particles"]:
        """Return each network's mean cross-entropy over duels, and set ``gradient`` to that of their sum.

        The probability that the first candidate wins is sigmoid(u_first - u_second) (Bradley and Terry 1952).

        Args:
            candidates: of each duel, in the order shown.
            prompts: of each duel.
            targets: the probability with which the first should have won.
            weights: how much each duel counts for each network; 1 where not given.
            offsets: added to the utilities; they are not learnt.
        """
        hidden = self._layers(candidates, prompts, self.parameters)
        utilities = self.output(self._last(hidden, candidates))
        if offsets is not None:
            utilities = utilities + offsets
        gaps = utilities[..., 0] - utilities[..., 1]
        slopes = (gaps.sigmoid() - targets) / len(targets)
        if weights is not None:
            slopes = slopes * weights
        parameters = self.views(self.parameters)
        gradients = self.views(self.gradient)
        flow = torch.stack([slopes, -slopes], dim=2).view(self.n_particles, 1, -1)
        torch.bmm(flow, hidden[-1], out=gradients[-1])
        flow = flow.mT * parameters[-1]
        for layer in range(len(hidden) - 1, 0, -1):
            _through_relu(flow, hidden[layer])
            torch.bmm(hidden[layer - 1].mT, flow, out=gradients[2 * layer + 1])
            torch.sum(flow, dim=1, keepdim=True, out=gradients[2 * layer + 2])
            flow = torch.bmm(flow, parameters[2 * layer + 1].mT)
        _through_relu(flow, hidden[0])
        shared = flow.view(self.n_particles, len(prompts), 2, -1).sum(dim=2)
        torch.matmul(candidates.flatten(0, 1).T, flow, out=gradients[0])
        torch.matmul(prompts.T, shared, out=gradients[1])
        torch.sum(shared, dim=1, keepdim=True, out=gradients[2])
        losses = torch.nn.functional.softplus(gaps) - targets * gaps
        return (losses if weights is None else weights * losses).mean(dim=1)

    def hidden(
        self,
        candidates: Float32[torch.Tensor, "batch n_candidates candidate_dim"],
        prompts: Float32[torch.Tensor, "batch prompt_dim"],
        parameters: Float32[torch.Tensor, " weights"] | None = None,
    ) -> Float32[torch.Tensor, "n_particles batch n_candidates width"]:
        """Return the last hidden layer's activations, of which the utilities are linear functions.

        Other ``parameters`` than the network's own may be given, such as ones that autograd follows.
        """
        layers = self._layers(candidates, prompts, self.parameters if parameters is None else parameters)
        return self._last(layers, candidates)

    def output(
        self,
        hidden: Float32[torch.Tensor, "n_particles batch n_candidates width"],
        parameters: Float32[torch.Tensor, " weights"] | None = None,
    ) -> Float32[torch.Tensor, "n_particles batch n_candidates"]:
        """Return the utilities that the last hidden layer's activations give."""
        weights = self.views(self.parameters if parameters is None else parameters)[-1]
        # A product of row vectors: with one column on the right instead it takes six times as long.
        return torch.bmm(weights, hidden.flatten(1, 2).mT).view(hidden.shape[:3])

    def _layers(
        self,
        candidates: Float32[torch.Tensor, "batch n candidate_dim"],
        prompts: Float32[torch.Tensor, "batch dim"],
        parameters: Float32[torch.Tensor, " weights"],
    ) -> list[Float32[torch.Tensor, "n_particles rows width"]]:
        """Return the hidden layers' activations; rows are prompts times their candidates."""
        from_candidate, from_prompt, bias, *deeper = self.views(parameters)
        batch, n_candidates, _ = candidates.shape
        hidden = [torch.matmul(candidates.flatten(0, 1), from_candidate)]
        shared = torch.matmul(prompts, from_prompt).add_(bias)
        hidden[0].view(self.n_particles, batch, n_candidates, -1).add_(shared[:, :, None]).relu_()
        for weight, bias in zip(deeper[:-1:2], deeper[1:-1:2], strict=True):
            hidden.append(torch.baddbmm(bias, hidden[-1], weight).relu_())
        return hidden

    def _last(
        self,
        layers: list[Float32[torch.Tensor, "n_particles rows width"]],
        candidates: Float32[torch.Tensor, "batch n candidate_dim"],
    ) -> Float32[torch.Tensor, "n_particles batch n width"]:
        return layers[-1].view(self.n_particles, *candidates.shape[:2], -1)

    def views(self, flat: Float32[torch.Tensor, " weights"]) -> list[Float32[torch.Tensor, "n_particles _ _"]]:
        """Return the parts of a flat tensor: weights of candidate and of prompt, bias, then each layer's weights, bias."""
        return [part.view(shape) for part, shape in zip(flat.split(self._sizes), self._shapes, strict=True)]


def _through_relu(flow: Float32[torch.Tensor, "*shape"], output: Float32[torch.Tensor, "*shape"]) -> None:
    """Set a gradient to 0, in place, where a ReLU gave 0: one pass over it, where the product with a sign takes two."""
    torch.ops.aten.threshold_backward(flow, output, 0.0, grad_input=flow)
