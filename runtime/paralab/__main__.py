"""``python -m paralab``: the command ``paralab``, where its folder is not in PATH."""

from paralab.cli import main

if __name__ == "__main__":
    main(prog_name="python -m paralab")
