"""Hosts over SSH: files, packages, services, commands, and a place in a load balancer's pool."""
