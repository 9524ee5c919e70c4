#!/bin/sh
# Runs one attempt and outlives the engine: claims it, waits for it, writes how it ended.
# Arguments: run directory, workspace, standard input, file for standard error, soft limit of open files, cgroup or '',
# then the command.
run=$1 workspace=$2 input=$3 errors=$4 files=$5 cgroup=$6
shift 6

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
ulimit -Sn "$files"
# When memory runs out, the kernel is to choose an agent and not the engine, which has lowered its own score.
{ read -r score </proc/self/oom_score_adj && [ "$score" -lt 500 ] && echo 500 >/proc/self/oom_score_adj; } 2>/dev/null

# A stop goes to the whole group. The shim only waits on: it still has to write the end.
trap : TERM INT HUP QUIT
if cd "$workspace"; then
    "$@" <"$input" >>"$run/stdout" 2>>"$run/$errors"
    code=$?
else
    code=126
fi
printf '%s\n' "$code" >"$run/exit"
exit "$code"
