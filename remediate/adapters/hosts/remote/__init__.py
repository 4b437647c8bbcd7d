"""The program that works on a target: shipped over the connection, stdlib only, Python 3.6 or later.

Nothing here may import anything of the project outside this package, nor use younger syntax or library
calls than Python 3.6 has (so no future annotations: types are strings). Every request is data; no shell
ever sees any of it.
"""
