"""``cotpd`` and ``python -m cotpd``: the command line."""

from cotpd.cli.process import handle_signals, open_closed_streams


def main() -> None:
    """Run the command line. Signals are handled before the slow imports begin."""
    open_closed_streams()
    handle_signals()
    from cotpd.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
