"""The claim ledger: every sentence of the lecture beside the number that was measured for it.

``claims.show("inversion-depth")`` puts one entry beside a figure; ``lecturekit claims`` measures all of them again.
"""

from lecturekit.claims.ledger import STORED, Claim, Entry, known, measure, show, stored, write

__all__ = ["STORED", "Claim", "Entry", "known", "measure", "show", "stored", "write"]
