"""Benchmarks that compare the zoo with the usual alternatives, interleaved on one machine.

python -m tools.bench            run every item, in about half an hour
python -m tools.bench training   run one item

Each item writes its figures and the machine's properties to ``tools/bench/results``; the tables in
the ``README.md`` there are generated from all results in that folder. Requires the extra ``bench``,
MNIST and an otherwise idle machine. No test depends on the measured speed of a benchmark.
"""
