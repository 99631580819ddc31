"""The gauntlet: the same broken conversations through Outlast and its peers, SDKs as judges.

    make gauntlet                                  everything, peers too (under 15 minutes)
    make gauntlet QUICK=1                          Outlast alone, fewer repetitions (90 s)
    make gauntlet ARGS="--only 5,7 --surface chat --peers portkey"

What is asked is in scripts.py, the places where it breaks are drawn in cases.py, the vendors are
those of outlast.simulator (stage.py), the judgement is judging.py's. docs/gauntlet.md says how to
read the table.
"""
