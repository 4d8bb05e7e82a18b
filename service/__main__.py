"""``python -m service`` is ``evenscan``, wherever its script is not on the path."""

from evaluation.cli import main

if __name__ == "__main__":
    main()
