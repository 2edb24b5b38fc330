"""`python -m qdescent`, and under torchrun `-m qdescent`: the command line."""

from qdescent.cli import main

if __name__ == "__main__":
    main()
