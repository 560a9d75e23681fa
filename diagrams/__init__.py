"""Pictures and tables made from a lifecycle's declaration."""
