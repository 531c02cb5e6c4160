"""Privacy: what leaks, from where, to whom, and what a defence costs."""
