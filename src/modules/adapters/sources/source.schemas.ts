import Type, { type Static } from 'typebox';
import { BUCKET_PATTERN, HUB_REPO_PATTERN, HUB_REVISION_PATTERN, PREFIX_PATTERN } from '../../../base-sources/index.ts';
import { GivenFolder, GivenHub, GivenS3, SourceText } from '../../base-models/index.ts';

export const GivenAdapterSource = Type.Union([SourceText, GivenHub, GivenS3, GivenFolder], {
  description:
    'Where the PEFT folder is, in place of `path`. The service fetches it within the request, from where the operator allows it ' +
    '(READAPT_ADAPTER_SOURCES).',
});

const FromHub = Type.Object(
  {
    kind: Type.Literal('hub'),
    repo: Type.String({ pattern: HUB_REPO_PATTERN, description: '`org/name`.' }),
    revision: Type.String({ pattern: HUB_REVISION_PATTERN, description: 'The branch, tag or commit that was named.' }),
    commit: Type.String({ description: 'The commit of the revision, whose files were imported.' }),
  },
  { title: 'ImportedFromHub', description: 'A repository of the hub.' },
);
const FromS3 = Type.Object(
  {
    kind: Type.Literal('s3'),
    bucket: Type.String({ pattern: BUCKET_PATTERN }),
    prefix: Type.String({
      pattern: PREFIX_PATTERN,
      description: 'The folder in the bucket; empty for the whole bucket.',
    }),
  },
  { title: 'ImportedFromS3', description: 'A folder of a bucket.' },
);

/** Where a version was imported from. */
export const ImportedFrom = Type.Union([FromHub, FromS3], {
  title: 'ImportedFrom',
  description: 'The hub or the bucket that a version was imported from, in the state in which it was taken.',
  discriminator: { propertyName: 'kind' },
});
export type ImportedFrom = Static<typeof ImportedFrom>;
