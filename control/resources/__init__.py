"""Which running job should have how many devices of which kind: pure, as placement is.

    measurements -> throughput -> goodput -> allocation, with the reason of each

Importable without Django. `control.rescale` feeds it from the tables; the simulator feeds it from a trace.
"""
