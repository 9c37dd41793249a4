#!/bin/sh
# Restores a backup into an empty database and an empty data folder: docs/backup.md. No API and no worker may run.
# usage: restore.sh FOLDER, with DATABASE_URL and READAPT_DATA_DIR
set -eu
backup=$1
here=$(dirname "$0")
mkdir -p "$READAPT_DATA_DIR"

# Restores without roles and privileges: the service creates the role of tenants if needed, and grants its privileges,
# when it starts.
pg_restore --no-owner --no-privileges --exit-on-error --dbname="$DATABASE_URL" "$backup/readapt.dump"
psql --quiet --set=ON_ERROR_STOP=1 --file="$here/after-restore.sql" "$DATABASE_URL"

# Artifacts in a bucket are not part of a backup.
if [ -d "$backup/artifacts" ]; then
  mkdir -p "$READAPT_DATA_DIR/artifacts"
  cp -R --preserve=timestamps "$backup/artifacts/." "$READAPT_DATA_DIR/artifacts"
fi
if [ -f "$backup/secret-key" ]; then cp -p "$backup/secret-key" "$READAPT_DATA_DIR"; fi
