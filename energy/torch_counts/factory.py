"""The module that a user names as `module:factory`. Importing it runs its code: only what the user named."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from convert.ir import BadInput

NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def build(name: str) -> nn.Module:
    """The module that `factory` gives: itself one, or called without arguments. BadInput saying what went
    wrong."""
    where, _, what = name.partition(":")
    if not NAME.fullmatch(name):
        raise BadInput(f"--torch {name}: expected module:factory, such as my_models:tiny")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(where)
    except ImportError as error:
        raise BadInput(f"--torch {name}: cannot import {where} ({_said(error)})") from error
    except Exception as error:  # the module's own code: whatever it raises
        raise BadInput(f"--torch {name}: importing {where} failed ({_said(error)})") from error
    if not hasattr(module, what):
        raise BadInput(f"--torch {name}: {where} has no {what}")
    return _made(name, getattr(module, what))


def _made(name: str, found: Any) -> nn.Module:
    if not isinstance(found, nn.Module):
        if not callable(found):
            kind = type(found).__name__
            raise BadInput(
                f"--torch {name}: is a {kind}, expected a torch module or a function that gives one"
            )
        try:
            found = found()
        except Exception as error:
            raise BadInput(f"--torch {name}: calling it without arguments failed ({_said(error)})") from error
    if not isinstance(found, nn.Module):
        raise BadInput(f"--torch {name}: gave a {type(found).__name__}, expected a torch module")
    return _at_hand(name, found)


def _at_hand(name: str, model: nn.Module) -> nn.Module:
    """The module if all its values are there; BadInput for values without shape, far off or sparse."""
    for what, values in (*model.named_parameters(), *model.named_buffers()):
        if is_lazy(values):
            problem = "has no shape yet; let the factory run it on a sample once"
        elif values.device.type != "cpu":
            problem = f"is on {values.device}; move it to the CPU"
        elif values.layout is not torch.strided:
            problem = "is sparse; give it dense, its zeros are known"
        else:
            continue
        raise BadInput(f"--torch {name}: {what} {problem}")
    return model


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
