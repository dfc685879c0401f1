"""Says how far the run is: one line that changes on a terminal, a line now and
then in a log."""

import shutil
import sys
import time

from runner import figures

SECONDS_BETWEEN_LINES = 15


class Progress:
    def __init__(self, runs, rounds, stream=None, clock=time.monotonic):
        """`runs` of programs are to come, in `rounds` for each case."""
        self._runs = runs
        self._rounds = rounds
        self._done = 0
        self._stream = stream or sys.stderr
        self._clock = clock
        self._start = clock()
        self._case = ""
        self._last_line = None
        self._line_width = 0

    def case(self, number, count, name):
        self._case = f"[{number} of {count}] {name}"

    def running(self, round_number, label):
        """A program is about to run."""
        text = f"{self._case}: round {round_number + 1} of {self._rounds}, {label}"
        self._show(f"{text}; {self.elapsed()} elapsed{self._remaining()}")

    def ran(self):
        self._done += 1

    def elapsed(self):
        return figures.duration(self._clock() - self._start)

    def clear(self):
        """Before anything else is written to the terminal."""
        if self._line_width:
            self._stream.write("\r" + " " * self._line_width + "\r")
            self._stream.flush()
            self._line_width = 0

    def _remaining(self):
        if self._done == 0:
            return ""
        each = (self._clock() - self._start) / self._done
        return f", about {figures.duration(each * (self._runs - self._done))} to go"

    def _show(self, text):
        if self._stream.isatty():
            self.clear()
            text = text[: shutil.get_terminal_size().columns - 1]
            self._stream.write(text)
            self._line_width = len(text)
        else:
            now = self._clock()
            last = self._last_line
            if last is not None and now - last < SECONDS_BETWEEN_LINES:
                return
            self._last_line = now
            self._stream.write(text + "\n")
        self._stream.flush()
