"""The headline as SPDX 3.0.1 has it (AI profile, EnergyConsumption), for bills of materials.

SPDX knows no word for a modelled figure: whoever takes this over says that it is one.
"""

from __future__ import annotations

from energy.rows import Json

PJ_IN_MEGAJOULE = 1e18


def described(pj: float) -> Json:
    """Energy of one inference. pj: picojoules."""
    quantity = {
        "type": "ai_EnergyConsumptionDescription",
        "ai_energyQuantity": pj / PJ_IN_MEGAJOULE, "ai_energyUnit": "megajoule",
    }  # fmt: skip
    return {"type": "ai_EnergyConsumption", "ai_inferenceEnergyConsumption": [quantity]}
