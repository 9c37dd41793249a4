#!/bin/sh
# Backs a running service up into a folder: docs/backup.md.
# usage: backup.sh FOLDER, with DATABASE_URL and READAPT_DATA_DIR
set -eu
backup=$1
mkdir -p "$backup/artifacts"

# A consistent picture of the database at one moment, while the service runs.
pg_dump --format=custom --no-owner --file="$backup/readapt.dump" "$DATABASE_URL"

# Stored content never changes, so what an earlier backup has is not copied again. `tmp` is left out: it holds what is not stored yet.
cp -Rn --preserve=timestamps "$READAPT_DATA_DIR/artifacts/sha256" "$READAPT_DATA_DIR/artifacts/READAPT_STORE" "$backup/artifacts"

# The key of stored secrets, where it is not set by READAPT_SECRET_KEY. Keep it apart from the rest.
if [ -f "$READAPT_DATA_DIR/secret-key" ]; then cp -p "$READAPT_DATA_DIR/secret-key" "$backup"; fi
