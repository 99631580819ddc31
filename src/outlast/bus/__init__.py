"""Who tells whom: publish, subscribe (the state, then the stream), and leases."""
