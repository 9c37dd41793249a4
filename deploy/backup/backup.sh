#!/bin/sh
# Backs a running service up into a folder: docs/backup.md.
# usage: backup.sh FOLDER, with DATABASE_URL, READAPT_DATA_DIR and, where artifacts are in a bucket, READAPT_ARTIFACTS
set -eu
backup=$1
mkdir -p "$backup"

# Dumps a consistent snapshot of the database while the service runs.
pg_dump --format=custom --no-owner --file="$backup/readapt.dump" "$DATABASE_URL"

# Copies artifacts, except those in an earlier backup: stored content never changes. Leaves out `tmp`, whose content is
# not stored yet.
if [ -n "${READAPT_ARTIFACTS:-}" ]; then
  echo "the artifacts are in $READAPT_ARTIFACTS, which is not copied: docs/backup.md says how to keep it" >&2
else
  mkdir -p "$backup/artifacts"
  artifacts=$READAPT_DATA_DIR/artifacts
  cp -Rn --preserve=timestamps "$artifacts/sha256" "$artifacts/READAPT_STORE" "$backup/artifacts"
fi

# Copies the key of stored secrets, unless READAPT_SECRET_KEY sets it. Keep it apart from the rest.
if [ -f "$READAPT_DATA_DIR/secret-key" ]; then cp -p "$READAPT_DATA_DIR/secret-key" "$backup"; fi
