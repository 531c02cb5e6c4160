"""Privacy: what leaks, from where, to whom, and what a defence costs.

=====================  ================================================================================
who judges             `judges`, trained on people whom nobody seeks; `reidentify`, a gallery of people
what leaks             `leakage`, layer by layer: who it is, what the person is like
who attacks            `attackers`: white box, black box, query-free
what helps             `defence`: noise, dropped filters, rounding; utility against privacy
without a code         `gradients` and `federated`, `model_inversion`, `membership`
real people            `real_faces`: the same on forty who exist, where their photographs are at hand
=====================  ================================================================================

The trap: an attack that fails is no proof of safety.
"""
