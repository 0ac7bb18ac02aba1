"""Child processes that carry the network, and their client; imports nothing by itself."""
