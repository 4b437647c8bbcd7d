"""Keys of facts, one spelling for all steps."""

CONFIG = "config:running"
