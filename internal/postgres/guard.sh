# Runs PostgreSQL so that a full disk is an answer and not the end.
#
# PostgreSQL that cannot write its log any more ends, and cannot recover on a
# disk that is still full: nobody could even delete something. So the disk has a
# reserve, a file of a twentieth of it. When no more than as much is left
# besides, new transactions become read-only. If the database ended all the same,
# the reserve is given up before it starts again. When there is room, all is
# undone.
#
# A person makes room in a session with
#   SET default_transaction_read_only = off;
# by dropping or truncating tables.
set -u
umask 077

volume=/var/lib/postgresql/data
reserve=$volume/reserve
conf=$volume/conf
full=$conf/disk-full.conf

say() { echo "disk: $*" >&2; }

# measure sets size and avail, in KiB.
measure() {
  set -- $(stat -f -c '%b %a %S' "$volume")
  size=$(($1 * $3 / 1024)) avail=$(($2 * $3 / 1024))
}

measure
keep=$((size / 20))
[ "$keep" -gt 1048576 ] && keep=1048576
wal=$((size / 8192)) # MiB: an eighth
[ "$wal" -gt 1024 ] && wal=1024
[ "$wal" -lt 80 ] && wal=80

put() { [ "$(cat "$1" 2>/dev/null)" = "$2" ] || { printf '%s\n' "$2" >"$1.new" && mv "$1.new" "$1"; }; }
reload() { kill -HUP "$(head -n 1 "${PGDATA:-$volume/pgdata}/postmaster.pid" 2>/dev/null)" 2>/dev/null || :; }

close_writes() {
  setting='default_transaction_read_only = on'
  put "$full" "$setting" || { rm -f "$reserve" && put "$full" "$setting"; }
}

# look does what the room on the disk asks for.
look() {
  measure
  if [ ! -e "$reserve" ] && [ "$avail" -gt $((3 * keep)) ]; then
    fallocate -l "${keep}KiB" "$reserve.new" && mv "$reserve.new" "$reserve" || rm -f "$reserve.new"
    measure
  fi
  if [ ! -e "$full" ] && [ "$avail" -lt "$keep" ]; then
    close_writes
    reload
    say "Error: the disk of $((size / 1024)) MiB is full. Writes are refused until there is room."
  elif [ -e "$full" ] && [ -e "$reserve" ] && [ "$avail" -gt $((keep * 3 / 2)) ]; then
    rm -f "$full"
    reload
    say "There is room again on the disk; writes are accepted."
  fi
}

mkdir -p "$conf"
if [ "$avail" -lt "$keep" ]; then
  [ -e "$reserve" ] && say "The disk of $((size / 1024)) MiB is full; its reserve is used so that the database can start, read-only."
  rm -f "$reserve"
  close_writes
fi
put "$conf/disk.conf" "max_wal_size = '${wal}MB'"

while sleep 1; do look; done &
exec /usr/local/bin/postgres-entrypoint "$@"
