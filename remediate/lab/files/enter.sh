#!/bin/sh
# Run a command inside control groups: enter.sh GROUP... -- COMMAND...
# Writing 0 moves the writing process itself, so nothing the command starts can ever be outside.
set -u
while [ "$1" != "--" ]; do
    echo 0 >"$1/cgroup.procs" || exit 1
    shift
done
shift
exec "$@"
