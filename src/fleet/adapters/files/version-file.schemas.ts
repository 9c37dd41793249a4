import Type, { type Static } from 'typebox';
import { Binary, contentOf, Id, Nullable } from '../../../platform/contract/schemas.ts';
import { AdapterVersionParams } from '../adapter.schemas.ts';

export const VersionFile = Type.Object(
  {
    name: Type.String({ description: 'Name of the file in the PEFT folder.' }),
    bytes: Type.Integer({ description: 'Size of the file.' }),
    sha256: Type.String({ description: 'SHA-256 of the file, in hexadecimal. Compare it with what you have got.' }),
    media_type: Type.String({
      description:
        'What the file is, which is the `Content-Type` of the bucket’s answer. This API sends ' +
        '`application/octet-stream`.',
    }),
    url: Type.String({
      description:
        'Where to get the file. With `expires_at`, it is a presigned URL of the bucket, which takes no key: ' +
        'whoever knows it can read the file until then, so keep it out of logs, and send no key there. Without, it ' +
        'is a path of this API, which takes a key. Both take `Range`.',
    }),
    expires_at: Nullable(
      Type.String({
        format: 'date-time',
        description: 'Until when the presigned URL works; ask for the list again then. Null for a path of this API.',
      }),
    ),
  },
  { title: 'AdapterVersionFile', description: 'A file of an adapter version, and where to get it.' },
);
export type VersionFile = Static<typeof VersionFile>;

export const VersionFiles = Type.Object(
  {
    adapter_id: Id('adapter'),
    adapter_version_id: Id('adapterVersion'),
    digest: Type.String({
      description:
        'SHA-256 over names, sizes and SHA-256 of the files, which is that of the version: see `AdapterVersion`.',
    }),
    files: Type.Array(VersionFile, { description: 'All files of the version, by their names.' }),
  },
  { title: 'AdapterVersionFiles', description: 'The files of an adapter version.' },
);
export type VersionFiles = Static<typeof VersionFiles>;

export const VersionFileParams = Type.Object({
  ...AdapterVersionParams.properties,
  name: Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$', description: 'Name of the file.' }),
});

/**
 * Content type with which the API sends every file of an adapter version. As there is only one, clients generated from
 * the OpenAPI document get a single type of answer.
 */
export const FILE_TYPE = 'application/octet-stream';

/** Answer with the content of one file of an adapter version, which the API sends as a stream. */
export const FileContent = {
  description: 'The file.',
  content: contentOf([FILE_TYPE], Binary('The bytes of the file.')),
};
