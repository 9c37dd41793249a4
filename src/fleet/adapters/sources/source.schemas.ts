import Type, { type Static } from 'typebox';
import {
  BUCKET_PATTERN,
  HUB_REPO_PATTERN,
  HUB_REVISION_PATTERN,
  PREFIX_PATTERN,
} from '../../../platform/base-sources/index.ts';
import { Nullable } from '../../../platform/contract/schemas.ts';
import { GivenFolder, GivenHub, GivenS3, SourceText } from '../../base-models/index.ts';

export const GivenAdapterSource = Type.Union([SourceText, GivenHub, GivenS3, GivenFolder], {
  description:
    'Where the PEFT folder is, in place of `path`. The service fetches it within the request, from where the ' +
    'operator allows it (READAPT_ADAPTER_SOURCES).',
});

/**
 * Schema of the hub or bucket from which a version was imported. One object has the fields of both kinds, because tools
 * that generate clients differ in how they treat a union that may be null.
 */
export const ImportedFrom = Type.Object(
  {
    kind: Type.Enum(['hub', 's3'] as const, {
      title: 'ImportedFromKind',
      description: 'Whether it is a repository of a hub or a folder of a bucket.',
    }),
    repo: Nullable(Type.String({ pattern: HUB_REPO_PATTERN, description: '`org/name` of a hub; null of a bucket.' })),
    revision: Nullable(
      Type.String({ pattern: HUB_REVISION_PATTERN, description: 'The branch, tag or commit that was named.' }),
    ),
    commit: Nullable(Type.String({ description: 'The commit of the revision, whose files were imported.' })),
    bucket: Nullable(Type.String({ pattern: BUCKET_PATTERN, description: 'Null of a hub.' })),
    prefix: Nullable(
      Type.String({
        pattern: PREFIX_PATTERN,
        description: 'The folder in the bucket; empty for the whole bucket.',
      }),
    ),
  },
  {
    title: 'ImportedFrom',
    description: 'The hub or the bucket that a version was imported from, in the state in which it was taken.',
  },
);
export type ImportedFrom = Static<typeof ImportedFrom>;
