"""The kinds of faults, a module for each.

A module has ``WHAT``, its kind of fault in words; ``BEFORE``, how many were handled as documented
when they were first counted, or ""; ``COUNT``, how many are injected by default; and
``inject(place, random, count)``, which yields a description of each fault, and what was wrong after
it, or None.
"""
