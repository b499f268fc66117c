"""Small programs and small chips for the mapper."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from convert.ir import DenseWeights, Input, LoihiLIF, Population, Program, Projection, SparseWeights
from deploy.cores.chip import Figure, chip


@pytest.fixture
def tiny():
    """A chip with other limits: tiny(neurons=2, ...); the figures that are not named are Loihi 1's."""

    def make(base="loihi1", **limits):
        whole = chip(base)
        figures = dict(whole.figures)
        for name, value in limits.items():
            key = name if "." in name else f"limits.{name}"
            figures[key] = Figure(value, "of a test", "a test", "assumed")
        return dataclasses.replace(whole, name="tiny", figures=figures)

    return make


@pytest.fixture
def sparse():
    """SparseWeights of a dense array; zeros are no synapses."""

    def make(matrix):
        matrix = np.asarray(matrix)
        source, target = np.nonzero(matrix.T)
        starts = np.searchsorted(source, np.arange(matrix.shape[1] + 1))
        return SparseWeights(starts, target, matrix[target, source].astype(np.int8), matrix.shape)

    return make


@pytest.fixture
def chain():
    """A program of a binary input and LIF populations one after another, from weights; the last is read out.

    chain(w1, w2, ..., shapes=None, delays=None): weights or arrays (dense).
    """

    def make(*weights, shapes=None, delays=None, exps=None):
        weights = [w if hasattr(w, "shape") and not isinstance(w, np.ndarray) else _dense(w) for w in weights]
        sizes = [weights[0].shape[1], *(w.shape[0] for w in weights)]
        shapes = shapes or [(n,) for n in sizes]
        populations = {"in": Population("in", shapes[0], Input(shapes[0], "binary"))}
        names, projections = ["in"], []
        for k, w in enumerate(weights):
            name = f"p{k + 1}"
            populations[name] = Population(name, shapes[k + 1], LoihiLIF(dv=0, vth=10), k + 1)
            delay = delays[k] if delays else 0
            exp = exps[k] if exps else 0
            projections.append(Projection(f"{names[-1]}->{name}", names[-1], name, w, exp, delay))
            names.append(name)
        return Program(populations, tuple(projections), (names[-1],))

    return make


def _dense(matrix):
    return DenseWeights(np.asarray(matrix, np.int8))
