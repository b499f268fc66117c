"""The spiking graph and the neuron-level program: numpy and the standard library alone.

`Graph` is what a person reads, ONNX is written from and energy is counted on; `Program` is what a
neuromorphic chip holds. Nodes say their equation in their docstring.
"""

from convert.ir.activations import MaxPool2d, Relu
from convert.ir.check import LEGAL, check
from convert.ir.enlarging import ConvTranspose2d, Repeat2d
from convert.ir.errors import (
    ArtifactError,
    BadInput,
    BasaltError,
    GraphError,
    LimitError,
    ShapeError,
    StageError,
    Unsupported,
)
from convert.ir.graph import Graph
from convert.ir.linear import (
    Add,
    Affine,
    AvgPool2d,
    BatchNorm,
    ChannelMix,
    ChannelScale,
    Conv2d,
    Delay,
    GraphConv,
    JointMap,
    JointMean,
    Permute,
    Reshape,
    StepConv,
)
from convert.ir.loihi import (
    LoihiIntegrator,
    LoihiLIF,
    LoihiLIFRefractory,
    LoihiLIFReset,
    LoihiNeuron,
    LoihiTernaryLIF,
)
from convert.ir.neurons import IF, LIF, CubaLIF, LeakyIntegrator
from convert.ir.node import (
    NODES,
    Activation,
    LinearNode,
    Neuron,
    Node,
    Product,
    Shape,
    Source,
    WindowNode,
)
from convert.ir.parts import Concat, Slice
from convert.ir.products import SpikeAnd, SpikeMatMul
from convert.ir.program import (
    ConvWeights,
    DenseWeights,
    Population,
    Program,
    Projection,
    SparseWeights,
    Weights,
)
from convert.ir.resonators import LoihiRF, LoihiRFIZ
from convert.ir.serial import load_graph, load_program, packed, save_graph, save_program, unpacked
from convert.ir.sigma_delta import LoihiDelta, LoihiSigma, LoihiSigmaDelta
from convert.ir.sources import Input
from convert.ir.steps import steps
from convert.ir.text import text
from convert.ir.window import StepMap, StepMean, refuse_windows

__all__ = [
    "IF", "LEGAL", "LIF", "NODES", "Activation", "Add", "Affine", "ArtifactError", "AvgPool2d", "BadInput",
    "BasaltError", "BatchNorm", "ChannelMix", "ChannelScale", "Concat", "Conv2d", "ConvTranspose2d",
    "ConvWeights", "CubaLIF", "Delay", "DenseWeights", "Graph", "GraphConv", "GraphError", "Input",
    "JointMap", "JointMean", "LeakyIntegrator", "LimitError", "LinearNode", "LoihiDelta", "LoihiIntegrator",
    "LoihiLIF", "LoihiLIFRefractory", "LoihiLIFReset", "LoihiNeuron", "LoihiRF", "LoihiRFIZ", "LoihiSigma",
    "LoihiSigmaDelta", "LoihiTernaryLIF", "MaxPool2d", "Neuron", "Node", "Permute", "Population", "Product",
    "Program", "Projection", "Relu", "Repeat2d", "Reshape", "Shape", "ShapeError", "Slice", "Source",
    "SparseWeights", "SpikeAnd", "SpikeMatMul", "StageError", "StepConv", "StepMap", "StepMean",
    "Unsupported", "Weights", "WindowNode", "check", "load_graph", "load_program", "packed", "refuse_windows",
    "save_graph", "save_program", "steps", "text", "unpacked",
]  # fmt: skip
