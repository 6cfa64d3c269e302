#!/bin/sh
# Runs PostgreSQL on a data volume. On an empty volume it first puts the prepared cluster there and sets its passwords.
#
#   PGDATA                     where the cluster lives, below a volume; default /data/pgdata
#   PG_DATABASES               databases to make, each owned by a login role of its own name; default "mlflow feast lab"
#   /etc/pg-secret/password    the password of these roles and of the superuser postgres
#
# The first start works in $PGDATA.new and renames it at the end, so a start that was cut off begins again.
set -eu
databases=${PG_DATABASES:-mlflow feast lab}

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  password=$(sed "s/'/''/g" /etc/pg-secret/password)
  rm -rf "$PGDATA.new"
  cp -r /usr/share/pgdata "$PGDATA.new"
  chmod 700 "$PGDATA.new"
  # The prepared cluster holds template1 only; its copies are made here instead of being carried in the image.
  {
    echo "CREATE DATABASE template0 IS_TEMPLATE true ALLOW_CONNECTIONS false"
    echo "CREATE DATABASE postgres"
    echo "ALTER ROLE postgres PASSWORD '$password'"
    for name in $databases; do
      echo "CREATE ROLE \"$name\" LOGIN PASSWORD '$password'"
      echo "CREATE DATABASE \"$name\" OWNER \"$name\""
    done
  } | postgres --single -D "$PGDATA.new" -c exit_on_error=true -c fsync=off template1 > /dev/null
  sync
  mv "$PGDATA.new" "$PGDATA"
  echo "made a new database cluster with $databases"
fi

exec postgres -D "$PGDATA" -c listen_addresses='*' -c unix_socket_directories=/tmp -c shared_buffers=64MB -c max_connections=50
