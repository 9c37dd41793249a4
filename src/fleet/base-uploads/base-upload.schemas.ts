import Type, { type Static } from 'typebox';
import { SENT_NAME } from '../../platform/base-sources/index.ts';
import { PageQuery } from '../../platform/contract/pagination.ts';
import { Binary, contentOf, ErrorOf, Id, Nullable, Timestamp } from '../../platform/contract/schemas.ts';

/** Largest number of files of an upload, which is also the largest number of files of a base model version. */
const MAX_FILES = 2000;
/** Largest number of parts of an upload. S3 has the same limit, and a list of so many part numbers is still small. */
export const MOST_PARTS = 10_000;

const SHA256 = '^[0-9a-f]{64}$';

const fileName = Type.String({
  pattern: SENT_NAME.source,
  description: 'Name of a file of a model, or of a tar archive (`.tar`) of such files.',
});
const sha256 = Type.String({ pattern: SHA256, description: 'SHA-256 of the file, hexadecimal.' });
const partNumber = Type.Integer({ minimum: 1, maximum: MOST_PARTS, description: 'Parts are numbered from 1.' });

const UploadFile = Type.Object(
  {
    name: fileName,
    size: Type.Integer({ minimum: 0, maximum: 2 ** 50, description: 'Bytes.' }),
    sha256,
  },
  { title: 'BaseModelUploadFile', additionalProperties: false, description: 'A file that will be sent.' },
);

export const CreateBaseModelUpload = Type.Object(
  { files: Type.Array(UploadFile, { minItems: 1, maxItems: MAX_FILES }) },
  {
    title: 'CreateBaseModelUpload',
    additionalProperties: false,
    description: 'The files of a base model, or archives of them, with what they will be checked by.',
  },
);
export type CreateBaseModelUpload = Static<typeof CreateBaseModelUpload>;

const State = Type.Enum(['open', 'verifying', 'complete', 'failed'] as const, {
  title: 'BaseModelUploadState',
  description:
    '`open`: it takes parts. `verifying`: all parts are there, and the files are being read and checked. ' +
    '`complete`: versions can be registered from it. `failed`: the files are no model that can be taken, as ' +
    '`error` says; delete it.',
});

const entry = {
  id: Id('baseModelUpload'),
  state: State,
  source: Type.String({ description: 'What a version names as its `source` when the upload is complete.' }),
  files_digest: Type.String({
    description:
      'Tells whether another upload is of the same files: `sha256:` and the SHA-256 of the line `readapt folder ' +
      '1` and of a line `["name",size,"sha256"]` for each file, sorted by name.',
  }),
  bytes: Type.Integer({ description: 'Size of all files.' }),
  part_bytes: Type.Integer({
    description: 'Size of each part but the last one of a file, which has the rest. An empty file has one empty part.',
  }),
  error: Nullable(ErrorOf('Why it is open again, has failed, or is not verified yet.')),
  created_at: Timestamp,
  completed_at: Nullable(Timestamp),
  expires_at: Nullable({
    ...Timestamp,
    description: 'When it may be removed. Each part that arrives puts it off; null while a version has its files.',
  }),
};

export const BaseModelUploadEntry = Type.Object(entry, {
  title: 'BaseModelUploadEntry',
  description: 'An upload of a base model, without its files.',
});
export type BaseModelUploadEntry = Static<typeof BaseModelUploadEntry>;

const PartRange = Type.Object(
  { first: Type.Integer(), last: Type.Integer({ description: 'Last part of the range, which is included.' }) },
  { title: 'PartRange', description: 'Parts that follow one another.' },
);

const FileState = Type.Object(
  {
    name: Type.String(),
    size: Type.Integer({ description: 'Bytes.' }),
    sha256: Type.String({ description: 'What its SHA-256 has to be, hexadecimal.' }),
    parts: Type.Integer({ description: 'Number of its parts.' }),
    missing: Type.Array(PartRange, { description: 'The parts that are not there yet.' }),
    verified_bytes: Type.Integer({ description: 'How much of it was read and checked. It may lag behind.' }),
  },
  { title: 'BaseModelUploadFileState', description: 'How far a file of an upload is.' },
);

export const BaseModelUpload = Type.Object(
  { ...entry, files: Type.Array(FileState, { description: 'Sorted by name.' }) },
  { title: 'BaseModelUpload', description: 'Files of a base model that are sent in parts.' },
);
export type BaseModelUpload = Static<typeof BaseModelUpload>;

export const ListBaseModelUploads = Type.Object(
  {
    ...PageQuery.properties,
    state: Type.Optional(State),
    files_digest: Type.Optional(
      Type.String({ pattern: '^sha256:[0-9a-f]{64}$', description: 'Only uploads of these files.' }),
    ),
  },
  { additionalProperties: false },
);
export type ListBaseModelUploads = Static<typeof ListBaseModelUploads>;

export const BaseModelUploadParams = Type.Object({ id: Id('baseModelUpload') });
export const PartParams = Type.Object({ id: Id('baseModelUpload'), file: fileName, number: partNumber });

export const PART_TYPES = ['application/octet-stream'] as const;
export const PartBody = { content: contentOf(PART_TYPES, Binary('The bytes of the part.')) };
export const PartHeaders = Type.Object({
  'content-digest': Type.Optional(
    Type.String({
      maxLength: 1000,
      description:
        'The digest of the part by RFC 9530, for example `sha-256=:…:`. A part that has another SHA-256 is ' +
        'refused. Without it, a damaged part is found only when the files are verified.',
    }),
  ),
});

export const UploadedPart = Type.Object(
  {
    file: Type.String(),
    number: Type.Integer(),
    bytes: Type.Integer(),
    sha256: Type.String({ description: 'SHA-256 of the part as it is stored, hexadecimal.' }),
  },
  { title: 'BaseModelUploadPart', description: 'A part that is stored.' },
);
export type UploadedPart = Static<typeof UploadedPart>;
