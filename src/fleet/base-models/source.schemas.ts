import Type, { type Static } from 'typebox';
import {
  BUCKET_PATTERN,
  DEFAULT_REVISION,
  HUB_REPO_PATTERN,
  HUB_REVISION_PATTERN,
  PREFIX_LENGTH,
  PREFIX_PATTERN,
} from '../../platform/base-sources/index.ts';
import { Id, Nullable } from '../../platform/contract/schemas.ts';

const repo = Type.String({ pattern: HUB_REPO_PATTERN, description: '`org/name`.' });
const revision = Type.String({ pattern: HUB_REVISION_PATTERN, description: 'A branch, a tag or a commit.' });
const bucket = Type.String({ pattern: BUCKET_PATTERN });
const prefix = Type.String({
  pattern: PREFIX_PATTERN,
  maxLength: PREFIX_LENGTH,
  description: 'The folder in the bucket, without a slash at either end; empty for the whole bucket.',
});

export const GivenHub = Type.Object(
  {
    kind: Type.Literal('hub'),
    repo,
    revision: Type.Optional(Type.Unsafe<string>({ ...revision, default: DEFAULT_REVISION })),
    token: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 1000,
        pattern: '^[\\x21-\\x7e]+$',
        description:
          'A token of the hub that may read the model. It is never shown. That of a base model version is stored ' +
          'encrypted; that of an adapter is used for the import, and not stored.',
      }),
    ),
  },
  {
    title: 'GivenHubSource',
    additionalProperties: false,
    description: 'A model of the hub that READAPT_HUB_URL names.',
  },
);

export const GivenS3 = Type.Object(
  { kind: Type.Literal('s3'), bucket, prefix: Type.Optional(prefix) },
  { title: 'GivenS3Source', additionalProperties: false, description: 'A folder of a bucket.' },
);

const GivenUpload = Type.Object(
  { kind: Type.Literal('upload'), id: Id('baseModelUpload') },
  { title: 'GivenUploadSource', additionalProperties: false, description: 'An upload that is complete.' },
);

export const GivenFolder = Type.Object(
  {
    kind: Type.Literal('folder'),
    path: Type.String({ minLength: 1, maxLength: 4096, description: 'Absolute path below one of the allowed roots.' }),
  },
  {
    title: 'GivenFolderSource',
    additionalProperties: false,
    description:
      'A folder that the service can read; of a base model version, one that workers see under the same path.',
  },
);

/** Schema of a text that says where the files of an adapter or a base model version are. */
export const SourceText = Type.String({
  minLength: 1,
  maxLength: 4096,
  description: '`hf://org/name@revision`, `hf://org/name`, `s3://bucket/prefix` or the path of a folder.',
});

const BaseSourceText = Type.Unsafe<string>({
  ...SourceText,
  description:
    '`hf://org/name@revision`, `hf://org/name`, `s3://bucket/prefix`, `upload://bmu_…` or the path of a folder.',
});

export const GivenBaseSource = Type.Union([BaseSourceText, GivenHub, GivenS3, GivenUpload, GivenFolder], {
  description:
    'Where the files are, in place of `path`: workers fetch them from a hub, a bucket or the artifact ' +
    'store into a cache of their own.',
});
export type GivenBaseSource = Static<typeof GivenBaseSource>;

const File = Type.Object(
  {
    name: Type.String(),
    size: Type.Integer({ description: 'Bytes.' }),
    sha256: Nullable(
      Type.String({
        description: 'Hexadecimal; null if the source does not give it and no worker has fetched it yet.',
      }),
    ),
    etag: Nullable(Type.String({ description: 'ETag of the pinned state of the file in a bucket.' })),
  },
  { title: 'BaseSourceFile', description: 'A file that workers fetch.' },
);
const files = Type.Array(File, { description: 'What workers fetch, as it was when the version was registered.' });

const Hub = Type.Object(
  {
    kind: Type.Literal('hub'),
    repo,
    revision,
    commit: Type.String({
      description: 'The commit of the revision when the version was registered, which is what is fetched.',
    }),
    has_token: Type.Boolean({ description: 'Whether a token was given with it.' }),
    files,
  },
  { title: 'HubSource', description: 'A model of a hub.' },
);
const S3 = Type.Object(
  { kind: Type.Literal('s3'), bucket, prefix, files },
  { title: 'S3Source', description: 'A folder of a bucket.' },
);
const Folder = Type.Object(
  { kind: Type.Literal('folder'), path: Type.String({ description: 'Its absolute path.' }) },
  { title: 'FolderSource', description: 'A folder that workers see under the same path.' },
);

const Upload = Type.Object(
  { kind: Type.Literal('upload'), id: Id('baseModelUpload'), files },
  { title: 'UploadSource', description: 'Files that were uploaded.' },
);

export const BaseSource = Type.Union([Folder, Hub, S3, Upload], {
  title: 'BaseSource',
  description: 'Where the files come from.',
  discriminator: { propertyName: 'kind' },
});
export type BaseSource = Static<typeof BaseSource>;
