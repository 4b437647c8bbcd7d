"""One document, many surfaces."""
