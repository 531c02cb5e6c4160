"""Everything round the exercises: checks that teach, and a grader that trusts nothing a student's process touched.

::

    solutions/NN.ipynb  --release-->  exercises/NN.ipynb  --a student-->  submission
                                                                            |  only the answer cells
        trusted: the same checks, run here   <--plain data-->   sandbox: the answers, run there

=============  ==================================================================================
`asking`       a task: ask a function, compare what came with what is right, and hint at the mistake
`checks`       all tasks by name, as the notebooks use them
`given`        networks and pictures that a task hands over by name, rebuilt on the other side
`plain`        plain data across a wall: numbers and tensors, no code
`sheet`        an exercise notebook: its cells, its points, its answers
`inside`       what runs in the sandbox, beside the student's code
`sandbox`      a process without network, home or neighbours, and with limits enforced from outside
`warm`         that process as a copy of one that has imported torch already: `template`
`remote`       a student's function, asked through the wall
`gradebook`    the points of a person, which no machine takes away
`reading`      what a person reads: a stranger's words, as text and nothing else
=============  ==================================================================================
"""
