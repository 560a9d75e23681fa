"""The kit with which integrators (and our own tests) prove a lifecycle and its handlers."""
