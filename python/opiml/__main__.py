"""`opiml`, and `python -m opiml`: the program that the wheel brings along."""
import os
import sys


def main():
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "program")
    if not os.path.exists(program):
        sys.exit("opiml: this package was not installed from a wheel, so the program is not in it; "
                 "./dev build makes it: build/app/opiml/opiml")
    os.execv(program, ["opiml", *sys.argv[1:]])


if __name__ == "__main__":
    main()
