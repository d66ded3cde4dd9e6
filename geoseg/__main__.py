"""``python -m geoseg``: the program."""

from geoseg.cli import main

if __name__ == "__main__":
    main()
