"""`outlast demo`: two scripted vendors and a real Outlast; one vendor goes down as on 2 March 2026.

run()          plays the day in about a minute and returns the exit code
language_of()  the language that an environment asks for
"""

from outlast.demo.start import SEED, SPEED_MAX, SPEED_MIN, MissingWeights, run
from outlast.demo.texts import language_of

__all__ = ["SEED", "SPEED_MAX", "SPEED_MIN", "MissingWeights", "language_of", "run"]
