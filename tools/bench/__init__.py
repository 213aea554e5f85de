"""Benchmarks: the zoo beside what a person would otherwise run, in turns, on one machine.

python -m tools.bench            every item, in about half an hour
python -m tools.bench training   one item

Each item writes its figures, with the machine's facts, into ``tools/bench/results``; the tables in
the ``README.md`` there are made from all that lie there. Needs the extra ``bench``, MNIST, and a
machine that does nothing else. No test depends on a time.
"""
