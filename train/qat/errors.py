"""What fine-tuning refuses."""


class NotTrainable(ValueError):
    """A node of the integer graph that fine-tuning has no rule for: its name, the reason, the remedy."""

    exit_code = 4

    def __init__(self, node: str, reason: str, remedy: str) -> None:
        super().__init__(f"{node}: {reason}; {remedy}")
