"""The pages of the federation: peers, quarantine, what leaves, what was withdrawn, this node."""
