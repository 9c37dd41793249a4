import type { PinnedSource } from '../../../platform/base-sources/index.ts';
import type { ImportedFrom } from './source.schemas.ts';

/** Source of a version as its row stores it. Readers need not know whether a token was used, so that is left out. */
export function toImportedFrom(source: PinnedSource): ImportedFrom {
  if (source.kind === 'upload') throw new Error('an upload holds a base model, not an adapter');
  if (source.kind === 's3') {
    const { kind, bucket, prefix } = source;
    return { kind, repo: null, revision: null, commit: null, bucket, prefix };
  }
  const { kind, repo, revision, commit } = source;
  return { kind, repo, revision, commit, bucket: null, prefix: null };
}
