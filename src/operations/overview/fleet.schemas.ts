import Type, { type Static } from 'typebox';
import { Id, Name, Nullable, Timestamp } from '../../platform/contract/schemas.ts';

/** Largest number of versions of a base model that the overview of its fleet shows. */
export const VERSIONS_SHOWN = 200;

const VersionShare = Type.Object(
  {
    base_model_version_id: Id('baseModelVersion'),
    version: Name,
    retires_at: Nullable(Timestamp),
    current: Type.Integer({ description: 'Number of adapters that have a current version on it.' }),
    newest: Type.Integer({
      description: 'Number of adapters for which it is the newest base model version on which they have one.',
    }),
    provisional: Type.Integer({ description: 'Number of adapters in `current` whose version is provisional.' }),
  },
  { title: 'FleetVersion', description: 'How much of a fleet is on one base model version.' },
);

export const Fleet = Type.Object(
  {
    base_model_id: Id('baseModel'),
    base_model_name: Name,
    adapters: Type.Integer({ description: 'Number of adapters of the base model that the caller may see.' }),
    unserved: Type.Integer({ description: 'Number of adapters without a current version on any base model version.' }),
    versions: Type.Array(VersionShare, {
      maxItems: VERSIONS_SHOWN,
      description:
        'The newest 200 base model versions, newest first. `newest` of all versions and `unserved` add up to ' +
        '`adapters`.',
    }),
  },
  { title: 'Fleet', description: 'How much of a fleet is on which version of its base model.' },
);
export type Fleet = Static<typeof Fleet>;
