"""Commands that are killed: at each step on files that they take, and at random times.

`python -m tests.kills` kills every job at every point, `--points N` at N points of each;
`--random N` kills N times at random moments, workers included. After each kill no output may be
torn; after the next run all files must be those of an undisturbed run, and nothing else left.
"""
