import Type from 'typebox';
import { Id } from '../../../platform/contract/schemas.ts';
import { describeEventType } from './describe-event.ts';

const counts = {
  desired: Type.Integer({ description: 'Number of adapters that it should serve.' }),
  loaded: Type.Integer({ description: 'Number of those that it serves in the current version.' }),
  failed: Type.Integer({ description: 'Number of those whose current version could not be loaded.' }),
};
const code = Type.String({ description: 'Why, as in `error.code` of the replica.' });

/** Events of replicas of serving engines. Only the operator sees them. */
export const REPLICA_EVENTS = {
  'replica.created': describeEventType('A replica of a serving engine was added.', {
    name: Type.String(),
    base_model_version_id: Id('baseModelVersion'),
  }),
  'replica.updated': describeEventType('A replica has other settings.', {
    changed: Type.Array(Type.String(), { description: 'The names of the settings that were given.' }),
  }),
  'replica.deleted': describeEventType('A replica was removed. What it has loaded stays loaded.', {}),
  'replica.in_sync': describeEventType('A replica serves all that it should.', counts),
  'replica.failed': describeEventType('A replica answers, and something that it should serve could not be loaded.', {
    ...counts,
    code,
  }),
  'replica.unreachable': describeEventType('A replica does not answer.', { code }),
} as const;
