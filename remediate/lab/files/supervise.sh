#!/bin/sh
# Keep one lab host on: supervise.sh GROUP... -- COMMAND...
# Each GROUP is the host's control group in one hierarchy. The command's exit code 133 means that the
# host rebooted; any other means that it was powered off. Writing 0 moves the writing process itself.
set -u
groups=
while [ "$1" != "--" ]; do
    groups="$groups $1"
    shift
done
shift
for group in $groups; do
    echo 0 >"$group/loop/cgroup.procs" || exit 1
done
while :; do
    (
        for group in $groups; do
            echo 0 >"$group/host/cgroup.procs" || exit 1
        done
        exec "$@"
    )
    [ $? -eq 133 ] || exit 0
done
