#!/bin/sh
# Records a seed in a build stage: a scratch PostgreSQL (the labs' own, unpacked at /postgres), the server, and a program
# that trains: `build.sh PROGRAM`, which is called with /seed.
set -eu
in_postgres() {
  chroot --userspec=10001:10001 /postgres env PATH=/usr/lib/postgresql/15/bin:/usr/bin:/bin "$@"
}

mkdir -p /seed /postgres/dev
chmod 1777 /postgres/tmp
chown 10001:10001 /postgres/data /seed
[ -e /postgres/dev/null ] || mknod -m 666 /postgres/dev/null c 1 3

# No port is opened: builds of several images may share one network.
in_postgres cp -r /usr/share/pgdata /data/pgdata
in_postgres chmod 700 /data/pgdata
in_postgres pg_ctl --pgdata /data/pgdata --silent --wait --options \
  "-c listen_addresses= -c unix_socket_directories=/tmp -c fsync=off -c dynamic_shared_memory_type=mmap" start
in_postgres psql --host /tmp --username postgres --dbname template1 --quiet \
  --command "CREATE ROLE mlflow LOGIN" --command "CREATE DATABASE mlflow OWNER mlflow"

setpriv --reuid 10001 --regid 10001 --clear-groups \
  env USER=lab PGHOST=/postgres/tmp PYTHONHASHSEED=0 PYTHONPATH=/src/seed python3 "$1" /seed
in_postgres pg_dump --host /tmp --username postgres --no-owner --no-privileges --restrict-key labctl mlflow > /seed/mlflow.sql
in_postgres pg_ctl --pgdata /data/pgdata --silent --wait --mode fast stop
