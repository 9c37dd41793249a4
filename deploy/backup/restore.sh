#!/bin/sh
# Restores a backup into an empty database and an empty data folder: docs/backup.md. No API and no worker may run.
# usage: restore.sh FOLDER, with DATABASE_URL and READAPT_DATA_DIR
set -eu
backup=$1
here=$(dirname "$0")
mkdir -p "$READAPT_DATA_DIR"

# The service gives the role of tenants its privileges when it starts, and creates it first where this server has none.
pg_restore --no-owner --no-privileges --exit-on-error --dbname="$DATABASE_URL" "$backup/readapt.dump"
psql --quiet --set=ON_ERROR_STOP=1 --file="$here/after-restore.sql" "$DATABASE_URL"

# A backup of a service whose artifacts are in a bucket has none.
if [ -d "$backup/artifacts" ]; then
  mkdir -p "$READAPT_DATA_DIR/artifacts"
  cp -R --preserve=timestamps "$backup/artifacts/." "$READAPT_DATA_DIR/artifacts"
fi
if [ -f "$backup/secret-key" ]; then cp -p "$backup/secret-key" "$READAPT_DATA_DIR"; fi
