# Lays a database out over its two volumes and starts it, so that a full disk is
# an error in one transaction and not the end of the database.
#
#   /var/lib/postgresql/data     the add-on's volume, which people fill
#     pgdata/base/               tables and indexes
#     reserve                    room that only recovery uses
#     slack                      room that comes back bit by bit when all is full
#   /var/lib/postgresql/server   a second volume, which they do not reach
#     pgdata/                    all else: the log, the transactions' states,
#                                control file, lock file, settings
#     reserve
#
# PostgreSQL ends when it cannot write its log, and cannot begin when it cannot
# write its lock file; a table that cannot grow is an ordinary error. A checkpoint
# that cannot write would keep the log growing: all that it adds to is on the
# second volume too, and what it writes to tables was allocated when they grew.
#
# Recovery may need more room than there was: it makes tables anew that were
# dropped since the last checkpoint, until it comes to where they were dropped.
# So it goes first, without clients, with the reserves given up for it, which it
# cannot need more of than the log is long. Clients come when they are back.
#
# Dropping and deleting need no room. Truncating and vacuuming need some blocks,
# and whoever filled the disk took the last one. So each minute a bit of the slack
# is given up: who wants to make room stops the writers and has it.
#
#   start.sh RESERVE ARGUMENTS   MiB to reserve; of the server
set -eu
umask 077

data=/var/lib/postgresql/data
server=/var/lib/postgresql/server
old=$data/pgdata
: "${PGDATA:=$server/pgdata}"
reserve=$1
slack=$((reserve / 4))
shift

say() { echo "disk: $*" >&2; }

# field reads the control file of a cluster.
field() { pg_controldata -D "$1" | sed -n "s/^$2: *//p"; }

clean() { [ "$(field "$1" 'Database cluster state')" = "shut down" ]; }

# recover does what a server that died had no time for. What it may not have
# synced of the tables is synced here: PostgreSQL looks for that in pgdata and
# does not follow its link.
recover() {
  cluster=$1
  shift
  sync -f "$data"
  postgres --single -D "$cluster" "$@" -c config_file="$cluster/postgresql.conf" postgres </dev/null >/dev/null
}

# move brings all but the tables from the one volume to the other. Until the last
# rename the old place holds the whole database. Of the log it takes what a start
# needs, from the last checkpoint on: files after that may be empty ones.
move() {
  if ! clean "$old"; then
    recover "$old" "$@" || say "There is no room to recover the database where it is. It is moved as it is."
  fi
  next=$PGDATA.new
  rm -rf "$next"
  mkdir -p "$next/pg_wal/archive_status" "$next/pg_wal/summaries"
  for path in "$old"/*; do
    case ${path##*/} in
    base | pg_wal | postmaster.pid) ;;
    *) cp -a "$path" "$next/" ;;
    esac
  done
  first=$(field "$old" "Latest checkpoint's REDO WAL file")
  count=0
  for path in "$old"/pg_wal/????????????????????????; do
    if [ "${path##*/}" \< "$first" ]; then continue; fi
    # The record of the last checkpoint may reach into a second file.
    if clean "$old" && [ "$count" -eq 2 ]; then break; fi
    cp -a "$path" "$next/pg_wal/"
    count=$((count + 1))
  done
  ln -s "$old/base" "$next/base"
  sync -f "$server"
  mv "$next" "$PGDATA"
  sync -f "$server"
}

# keep makes a file that holds room, of so many MiB.
keep() {
  [ ! -e "$1" ] || return 0
  if fallocate -l "$2MiB" "$1.new" 2>/dev/null; then
    mv "$1.new" "$1"
  else
    rm -f "$1.new"
    say "There is no room for $1 of $2 MiB; it is made at a start when there is."
  fi
}

# watch tells of a full disk, in the log that the app's people read: PostgreSQL's
# own errors quote rows and are not in it. It gives up slack, and takes it again.
watch() {
  while sleep 5; do
    set -- $(stat -f -c '%b %a %S' "$data")
    size=$(($1 * $3 / 1048576)) left=$(($2 * $3 / 1024))
    if [ $((left * 100)) -lt $((size * 1024)) ]; then
      say "Error: the database's disk is full. Of $size MiB $((left / 1024)) are left: what needs room is refused until something is deleted."
      [ "$left" -ge 256 ] || truncate -c -s -256K "$data/slack" || :
      sleep 55
    elif [ "$left" -gt $((slack * 2048)) ]; then
      fallocate -l "${slack}MiB" "$data/slack" 2>/dev/null || :
    fi
  done
}

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  # A new database is made in the old place, by asking for a setting.
  [ -s "$old/PG_VERSION" ] || PGDATA=$old postgres-entrypoint -C data_directory >/dev/null
  move "$@"
fi
for path in "$old"/*; do
  [ "$path" = "$old/base" ] || rm -rf "$path"
done
# Else a full disk is told as a directory that is not there.
mkdir -p "$old/base/pgsql_tmp" || :
# This is the only container that has the volumes: a lock is a dead server's,
# even if some process here has its number.
rm -f "$PGDATA/postmaster.pid"
if ! clean "$PGDATA"; then
  rm -f "$data/reserve" "$server/reserve"
  recover "$PGDATA" "$@"
fi
keep "$data/reserve" "$reserve"
keep "$server/reserve" 64
keep "$data/slack" "$slack"
watch &
exec postgres-entrypoint "$@"
