"""The documentation is tested like code: what it shows is run, parsed or compared with what is true."""
