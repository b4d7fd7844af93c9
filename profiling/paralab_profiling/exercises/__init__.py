"""Exercises: programs with a planted fault, and checkers that measure what a learner made of them.

::

    exercises/NN_topic/       task.ipynb   what the learner gets a copy of
                              checker.py   measures an answer, and knows its mistakes
                              solution.txt rot13, so that nobody reads it by accident

    shelf     finds the folders           answers   takes the code out of a learner's file
    judging   runs a check in a process   child     is that process
    ladders   gives one hint at a time    progress  remembers what was tried
    exercise  puts it together            command   is ``paralab exercise``
"""
