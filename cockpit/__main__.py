"""`python -m cockpit`, the same as `cockpit`."""

from cockpit.opening import main

main()
