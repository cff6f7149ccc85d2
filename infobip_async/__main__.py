"""``python -m infobip_async``: the command line."""

from infobip_async.cli import main

if __name__ == "__main__":
    main()
