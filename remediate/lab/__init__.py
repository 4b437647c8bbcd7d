"""The lab: real hosts and servers on this machine, for demonstrations and tests."""
