"""The words in which the suite is written."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Variant:
    """A peer with arguments of its own, a column beside the other peers."""

    label: str
    peer: str
    arguments: str = ""
    environment: dict = field(default_factory=dict)
    # Whether its checksum must be that of the other columns.
    same_work: bool = True


@dataclass(frozen=True)
class Bar:
    """What loam's ratio to another column should be at most."""

    metric: str
    column: str  # a peer, or the label of a variant
    ratio: float
    kind: str = "bar"  # it must hold; "goal": where we are going


@dataclass(frozen=True)
class Limit:
    """What loam's own figure should be at most, in the metric's unit."""

    metric: str
    value: float
    kind: str = "bar"


@dataclass(frozen=True)
class Case:
    """One workload with its arguments, for several peers.

    The first column is loam's, and the numerator of every ratio. The first
    metric is the headline. Less is better in each.
    """

    name: str  # group/what/distinguishes/it
    workload: str
    arguments: str
    peers: tuple  # of names and Variants
    metrics: tuple
    bars: tuple = ()  # of Bars and Limits
    environment: dict = field(default_factory=dict)
    quick_arguments: str = ""  # after the others, where they win
    note: str = ""  # what favours whom

    @property
    def group(self):
        return self.name.split("/")[0]

    def columns(self):
        """A Variant for each column."""
        return [
            peer if isinstance(peer, Variant) else Variant(peer, peer)
            for peer in self.peers
        ]

    def command_line(self, column, quick):
        """The arguments of a column's program. Of two values for one argument
        the last counts."""
        parts = [self.arguments, column.arguments]
        if quick:
            parts.append(self.quick_arguments)
        return " ".join(parts).split()
