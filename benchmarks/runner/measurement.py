"""Runs the programs of a case in turn, round after round."""

from dataclasses import dataclass, field

from runner import programs
from runner.case import Variant


@dataclass
class Column:
    """A column of a case with its program and what has come of it."""

    variant: Variant
    command: list
    environment: dict
    runs: list = field(default_factory=list)

    def ended(self):
        """Whether a run went wrong; there are no more then."""
        return bool(self.runs) and self.runs[-1].state != programs.OK


def columns_of(case, available, quick):
    """Columns for the programs that there are."""
    columns = []
    for variant in case.columns():
        path = available.find(case.workload, variant.peer)
        if path is not None:
            columns.append(
                Column(
                    variant,
                    [str(path), *case.command_line(variant, quick)],
                    {**case.environment, **variant.environment},
                )
            )
    return columns


def measure(columns, rounds, timeout, progress):
    """A B C, A B C, ...: what disturbs the machine for a while disturbs all."""
    for number in range(rounds):
        for column in columns:
            if not column.ended():
                progress.running(number, column.variant.label)
                column.runs.append(
                    programs.run_program(column.command, column.environment, timeout)
                )
            progress.ran()
