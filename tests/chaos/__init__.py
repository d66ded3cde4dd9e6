"""A cluster whose workers and scheduler die while a folder is predicted; the bytes stay the same.

``python -m tests.chaos`` kills and freezes 50 workers and kills 20 schedulers.
"""
