"""What a gateway in the path costs: Outlast beside nginx and its peers, in one run.

    make overhead                                  everything, with the peers (about half an hour)
    make overhead QUICK=1                          Outlast and nginx alone, under a minute
    make overhead ARGS="--peers litellm,smg --only c32,fast --rounds 5"

The servers are on one core; the generator (load.c) and the vendor (vendor.c) on another. What is
asked is in scenarios.py, how one run is measured in measuring.py, what is promised in verdicts.py.
docs/overhead.md says how to read the table, and how the benchmark guards against fooling itself.
"""
