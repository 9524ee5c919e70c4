#!/bin/sh
# Runs one attempt and outlives the engine: claims it, waits for it, writes how it ended.
# Arguments: run directory, workspace, standard input, file for standard error, limits for ulimit, cgroup to join or '',
# scope that it is in or '', what a pipe as standard input begins with or '', then the command.
run=$1 workspace=$2 input=$3 errors=$4 limits=$5 cgroup=$6 scope=$7 first=$8
shift 8

# The claim is made with O_EXCL. Whoever makes it first decides: a shim that finds one must not start anything,
# for an engine that found none has voided the attempt and may have given its job to another.
at_twenty() { started=${20}; }
read -r boot </proc/sys/kernel/random/boot_id
read -r stat </proc/$$/stat
set -f
at_twenty ${stat##*) }
set +f
set -C
printf '%s %s %s\n' $$ "$started" "$boot" >"$run/claim" || exit 125
set +C

[ -n "$cgroup" ] && echo $$ >"$cgroup/cgroup.procs"
# When memory runs out, the kernel is to choose an agent and not the engine, which has lowered its own score.
{ read -r score </proc/self/oom_score_adj && [ "$score" -lt 500 ] && echo 500 >/proc/self/oom_score_adj; } 2>/dev/null

# A pipe as standard input is kept open by a process of the attempt's own: an engine that dies ends no conversation.
# The engine ends that process, and with it the conversation, once nothing more is to be said.
if [ -n "$first" ]; then
    exec 9<>"$input"
    { cat "$first" && exec sleep 2147483647; } >&9 2>/dev/null &
    holder=$!
    exec 9>&-
    echo "$holder" >"$run/holder"
fi

# A stop goes to the whole group. The shim only waits on: it still has to write the end.
trap : TERM INT HUP QUIT
if cd "$workspace"; then
    # The limits are the command's: this shell still has to write the end when that has reached one of them.
    (
        for limit in $limits; do
            ulimit "-${limit%%=*}" "${limit#*=}" || exit 126
        done
        exec "$@"
    ) <"$input" >>"$run/stdout" 2>>"$run/$errors"
    code=$?
else
    code=126
fi
# What is called from here on is of the shim, and ends by itself.
trap '' TERM INT HUP QUIT
if [ -n "$scope" ]; then
    # What the kernel did there is told by the scope's group, which goes with this shell.
    mkdir "$run/cgroup" && for name in memory.events memory.peak pids.events; do
        [ -r "$scope/$name" ] && cat "$scope/$name" >"$run/cgroup/$name"
    done
fi 2>/dev/null
[ -n "$holder" ] && kill "$holder" 2>/dev/null
printf '%s\n' "$code" >"$run/exit"
exit "$code"
