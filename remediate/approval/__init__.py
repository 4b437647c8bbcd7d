"""Who signed what about a plan, and whether that is enough to run it.

`envelope` is the file, `sshsig` its signature's format, `signers` calls ssh-keygen, `signing` makes an
envelope, `verifying` checks one, `policy` decides over all of them.
"""
