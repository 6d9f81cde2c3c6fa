"""The network: one encoder for every view, a prompt generator, a head, and the directory they are saved in."""
