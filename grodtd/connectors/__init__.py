"""One broker a file: wire names on one side, our events on the other. Each opens with its capability table."""
