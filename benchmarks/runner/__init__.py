"""Runs the benchmarks and reports on them; `./dev bench` starts it.

A case (case.py) of the suite (suite.py) is one workload with its arguments, run
as several programs in turn (measurement.py). What they print becomes a result
(result.py), a dictionary as it is written to the JSON file; the tables
(text_report.py) and the page (html_report.py) are made from results alone.
"""
