#!/bin/sh
# confine.sh FOLDER UID CLOSED KEPT COMMAND…: run a command as the Compose files' containers are run: a read-only file
# system but for FOLDER, no capabilities and no way to new ones, as the user UID. To be started by `unshare --mount`.
# CLOSED: folders that UID can't enter, a colon between two; KEPT: folders within them that the command needs, such as
# the Python's own. The rest of what is closed is not there for the command.
set -eu
folder=$1 user=$2 closed=$3 kept=$4
shift 4
mount --make-rprivate /
mount --bind "$folder" "$folder" # a mount of its own stays writable
IFS=:
for each in $kept; do
    mkdir -p "$folder/.kept$each"
    mount --bind "$each" "$folder/.kept$each"
done
for each in $closed; do
    mount -t tmpfs -o mode=755 tmpfs "$each"
done
for each in $kept; do
    mkdir -p "$each"
    mount --bind "$folder/.kept$each" "$each"
    mount -o remount,bind,ro "$each"
    umount "$folder/.kept$each"
done
for each in $closed; do
    mount -o remount,ro "$each"
done
unset IFS
mount -o remount,bind,ro /
exec setpriv --reuid "$user" --regid "$user" --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs "$@"
