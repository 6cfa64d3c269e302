#!/bin/sh
# Makes the prepared cluster: `prepare.sh DIRECTORY`. As small as it can be, since every cluster start unpacks it.
set -eu
PATH=/usr/lib/postgresql/15/bin:$PATH
initdb --pgdata "$1" --username postgres --encoding UTF8 --locale C.UTF-8 --auth-host scram-sha-256 --auth-local trust \
  --wal-segsize 4 --no-sync > /dev/null
echo 'host all all all scram-sha-256' >> "$1/pg_hba.conf"
# The entry point makes these two again, as initdb does: by copying template1.
printf '%s\n' "UPDATE pg_database SET datistemplate = false" "DROP DATABASE template0" "DROP DATABASE postgres" \
  "UPDATE pg_database SET datistemplate = true" "VACUUM FULL" |
  postgres --single -D "$1" -c exit_on_error=true template1 > /dev/null
pg_resetwal --pgdata "$1" > /dev/null
chmod -R a+rX "$1"
