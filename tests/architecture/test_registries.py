"""Registries are complete: a node is known everywhere it must be, or the reason is written here."""

from __future__ import annotations

import convert.ir
from convert.ir import (
    LEGAL,
    NODES,
    Activation,
    Add,
    BatchNorm,
    LinearNode,
    LoihiNeuron,
    Neuron,
    Node,
    Product,
    Source,
    WindowNode,
)
from convert.onnx_model import layers, neurons
from convert.passes.operators import has_rule
from deploy.loihi_neurons import NEURONS as COMPILED
from deploy.reference import ACTIVATIONS, LINEAR, PRODUCTS
from deploy.reference_neurons import FAMILIES
from deploy.target import TARGETS, Target, target
from energy.fanout import RULES as FANOUT
from energy.products import COUNTED
from energy.updates import RULES as UPDATES
from train.qat.host import RULES as ON_CPU
from train.qat.network import RULES as FINE_TUNED

# Why a linear node has no rule in a registry. A line that is no longer true fails.
NO_OPERATOR = {"Add": "splits a region into branches", "BatchNorm": "folded before a region is composed"}
NO_FANOUT = {
    "Add": "joins values, no synapse: an update",
    "AvgPool2d": "a sum of its window: an update, or folded into the next",
    "BatchNorm": "a scale per value: an update", "Concat": "moves values",
    "Delay": "moves values", "JointMean": "a sum over joints: an update, or folded into the next",
    "Permute": "moves values", "Repeat2d": "copies values", "Reshape": "moves values",
    "Slice": "moves values",
}  # fmt: skip
PROGRAMS_ALONE = {
    "LoihiRF": "two inputs, real and imag: an edge of a graph names none",
    "LoihiRFIZ": "two inputs, real and imag: an edge of a graph names none",
}
NO_ONNX = {
    "LoihiDelta": "no function yet; refused", "LoihiLIFRefractory": "no function yet; refused",
    "LoihiLIFReset": "no function yet; refused", "LoihiRF": "is in no graph",
    "LoihiRFIZ": "is in no graph", "LoihiSigma": "no function yet; refused",
    "LoihiSigmaDelta": "no function yet; refused", "LoihiTernaryLIF": "no function yet; refused",
}  # fmt: skip
NO_FINE_TUNING = {
    "LoihiDelta": "quantise makes none", "LoihiLIFRefractory": "quantise makes none",
    "LoihiLIFReset": "quantise makes none", "LoihiSigma": "quantise makes none",
    "LoihiSigmaDelta": "a relay: adjacencies stay dense or pruned", "LoihiTernaryLIF": "quantise makes none",
}  # fmt: skip
NO_EMITTER = {"BatchNorm": "folded before a graph is written; refused with that remedy"}


def linear_nodes():
    return {name: cls for name, cls in NODES.items() if issubclass(cls, LinearNode)}


def window_nodes():
    return {cls for cls in NODES.values() if issubclass(cls, WindowNode)}


def without(registered):
    return {name for name, cls in linear_nodes().items() if not registered(cls)}


def test_there_are_nodes():
    """NIR's list of nodes was empty once, and every test over it passed (style, section 11.1)."""
    assert len(NODES) >= 18
    assert all(cls.__name__ == name and issubclass(cls, Node) for name, cls in NODES.items())


def test_every_node_is_of_one_kind_and_documents_its_equation():
    for name, cls in NODES.items():
        kinds = (Source, LinearNode, Product, Activation, Neuron, WindowNode)
        assert sum(issubclass(cls, kind) for kind in kinds) == 1, name
        assert cls.__doc__, f"{name}: no equation"
        assert not cls.__doc__.startswith(f"{name}("), f"{name}: the docstring is the one dataclass makes"
        assert not getattr(cls, "__abstractmethods__", ()), f"{name}: no shape rule"


def test_every_node_is_legal_somewhere_and_legal_nodes_are_registered():
    legal = {cls for classes in LEGAL.values() for cls in classes}
    assert {name for name, cls in NODES.items() if cls not in legal} == set(PROGRAMS_ALONE)
    assert legal <= set(NODES.values())
    for name in PROGRAMS_ALONE:
        assert len(NODES[name].ports) > 1


def test_every_loihi_neuron_has_an_integer_step_and_a_compiled_one():
    kinds = {cls for cls in NODES.values() if issubclass(cls, LoihiNeuron)}
    assert len(kinds) >= 10
    assert set(FAMILIES) == set(COMPILED) == kinds
    for kind in kinds:
        assert (FAMILIES[kind].result is None) == kind.spiking
        assert kind.message in ("binary", "ternary", "graded")


def test_every_neuron_has_an_onnx_form_or_is_refused():
    found = [cls for cls in NODES.values() if issubclass(cls, Neuron)]
    assert {cls.__name__ for cls in found if not issubclass(cls, neurons.KINDS)} == set(NO_ONNX)


def test_every_linear_node_has_an_operator():
    assert without(has_rule) == set(NO_OPERATOR)


def test_every_linear_node_has_a_reference_rule():
    assert without(lambda cls: cls in LINEAR) == set()
    assert set(LINEAR) == {*linear_nodes().values(), *window_nodes()}


def test_every_linear_node_has_a_fanout_rule_or_is_an_update():
    assert without(lambda cls: any(kind in FANOUT for kind in cls.__mro__)) == set(NO_FANOUT)
    for name, reason in NO_FANOUT.items():
        assert any(kind in UPDATES for kind in NODES[name].__mro__), f"{name} ({reason}) is counted nowhere"


def test_window_nodes_are_known_everywhere_but_on_chips():
    """They have no operator: a chip works step by step, `partition` gives them to the CPU."""
    assert len(window_nodes()) == 2
    for cls in window_nodes():
        assert cls in FANOUT and cls in layers.RULES and not has_rule(cls)
        assert cls in LEGAL["folded"] and cls not in LEGAL["integer"]


def test_every_neuron_has_an_update_rule():
    neurons = [cls for cls in NODES.values() if issubclass(cls, Neuron)]
    assert len(neurons) >= 6
    assert all(any(kind in UPDATES for kind in cls.__mro__) for cls in neurons)


def test_every_linear_node_has_an_onnx_emitter():
    assert without(lambda cls: cls in layers.RULES) == set(NO_EMITTER)


def test_every_product_is_known_everywhere():
    products = {cls for cls in NODES.values() if issubclass(cls, Product)}
    assert len(products) >= 2
    assert products == set(PRODUCTS) == set(COUNTED) == products & set(layers.RULES)
    assert all(products <= set(classes) for classes in LEGAL.values())


def test_every_activation_is_known_everywhere_but_on_chips():
    """No operator and no integer form: `partition` leaves what is behind one to the CPU."""
    found = {cls for cls in NODES.values() if issubclass(cls, Activation)}
    assert found
    assert found == set(ACTIVATIONS) == found & set(UPDATES) == found & set(layers.RULES)
    assert found <= set(LEGAL["traced"]) and found <= set(LEGAL["folded"])
    assert not found & set(LEGAL["integer"]) and not any(map(has_rule, found))


def test_the_two_that_need_no_operator_are_what_the_reasons_say():
    assert Add.inputs is None
    assert BatchNorm not in LEGAL["folded"] and BatchNorm not in LEGAL["integer"]


def test_the_face_of_the_graph_is_what_it_says():
    """`__all__` names every class, function and table the package exports, and nothing that is not there."""
    modules = {
        "activations",
        "check",
        "enlarging",
        "errors",
        "fields",
        "files",
        "graph",
        "linear",
        "loihi",
        "neurons",
        "node",
        "parts",
        "products",
        "program",
        "resonators",
        "serial",
        "sigma_delta",
        "sources",
        "text",
        "window",
    }
    exported = {n for n in vars(convert.ir) if not n.startswith("_")}
    assert set(convert.ir.__all__) == (exported - modules) | {"check", "steps", "text"}
    assert len(convert.ir.__all__) == len(set(convert.ir.__all__))
    assert callable(convert.ir.check) and callable(convert.ir.text)


def test_every_node_of_an_integer_graph_can_be_fine_tuned_or_is_refused():
    legal = {cls.__name__ for cls in LEGAL["integer"]}
    assert len(FINE_TUNED) >= 15 and set(FINE_TUNED) <= legal
    assert legal - set(FINE_TUNED) == set(NO_FINE_TUNING)
    # Behind the chip anything of a folded graph may be.
    assert set(ON_CPU) == {cls.__name__ for cls in LEGAL["folded"]}


def test_every_target_keeps_the_contract():
    assert list(TARGETS) == ["reference", "onnx", "loihi-sim", "lava"]
    for name in TARGETS:
        found = target(name)
        assert isinstance(found, Target)
        assert found.name == name
        assert isinstance(found.exact, bool)
        assert set(found.takes) <= {"float", "integer", "program"} and found.takes
        assert found.what and "\n" not in found.what
        assert found.available() is None or "\n" not in found.available()
