"""Ansible: playbooks and single modules as steps, run by ansible-runner and judged by their events."""
