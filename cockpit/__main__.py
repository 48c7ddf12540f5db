"""`python -m cockpit`, the same as `cockpit`."""

from cockpit.cli import main

main()
