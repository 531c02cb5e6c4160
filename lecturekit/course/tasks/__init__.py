"""The tasks of all exercises, one file an exercise: references, inputs, and the mistakes that are made often.

Students read what they like; the sandbox in which they are graded has no such folder.
"""
