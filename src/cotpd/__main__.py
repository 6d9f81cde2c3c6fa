"""``python -m cotpd``: the command line."""

from cotpd.cli.app import main

if __name__ == "__main__":
    main()
