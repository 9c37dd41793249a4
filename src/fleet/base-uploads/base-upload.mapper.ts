import { partCount, sourceText } from '../../platform/base-sources/index.ts';
import { toTimestamp } from '../../platform/contract/schemas.ts';
import type { UploadRow, UploadWithFiles } from './base-upload.repository.ts';
import type { BaseModelUpload, BaseModelUploadEntry } from './base-upload.schemas.ts';

export function toUploadEntry(row: UploadRow): BaseModelUploadEntry {
  return {
    id: row.id,
    state: row.state as BaseModelUploadEntry['state'],
    source: sourceText({ kind: 'upload', id: row.id }),
    files_digest: row.filesDigest,
    bytes: Number(row.bytes),
    part_bytes: row.partBytes,
    error: row.error as BaseModelUploadEntry['error'],
    created_at: toTimestamp(row.createdAt),
    completed_at: toTimestamp(row.completedAt),
    expires_at: toTimestamp(row.expiresAt),
  };
}

/**
 * Builds the answer for an upload: its files, each with the ranges of its parts that have not arrived.
 *
 * @param numbers numbers of the parts that have arrived, in ascending order, by file name
 */
export function toUpload(row: UploadWithFiles, numbers: ReadonlyMap<string, readonly number[]>): BaseModelUpload {
  const files = row.files.map(({ name, size, sha256, verifiedBytes }) => {
    const parts = partCount(Number(size), row.partBytes);
    const missing = missingOf(parts, numbers.get(name) ?? []);
    return { name, size: Number(size), sha256, parts, missing, verified_bytes: Number(verifiedBytes) };
  });
  return { ...toUploadEntry(row), files };
}

/**
 * Lists the part numbers from 1 to `parts` that have not arrived, as ranges. `numbers` are those that have arrived, in
 * ascending order.
 */
function missingOf(parts: number, numbers: readonly number[]): { first: number; last: number }[] {
  const missing: { first: number; last: number }[] = [];
  let next = 1;
  for (const number of [...numbers, parts + 1]) {
    if (number > next) missing.push({ first: next, last: number - 1 });
    next = number + 1;
  }
  return missing;
}
