import Type, { type Static } from 'typebox';
import { Binary, Id, Nullable, Timestamp } from '../../platform/contract/schemas.ts';
import { POSITION_PATTERN } from '../../delivery/events/index.ts';

const State = Nullable(
  Type.Object(
    {},
    {
      title: 'AuditState',
      additionalProperties: true,
      description: 'What was changed, as the API shows it. Secrets and the texts of rows are left out.',
    },
  ),
);

export const AuditEntry = Type.Object(
  {
    id: Id('auditEntry'),
    sequence: Type.String({ description: 'Position of the entry in the order of commits, as that of events.' }),
    tenant_id: Nullable(Id('tenant', 'The tenant whose data was changed; null for what belongs to the operator.')),
    actor: Type.Enum(['operator', 'tenant', 'command'] as const, {
      title: 'AuditActor',
      description: 'Whose key was used; `command` is somebody at the command line, who needs none.',
    }),
    key_id: Nullable(Id('apiKey', 'The key that was used.')),
    operation: Type.String({ description: 'The `operationId` in this document.' }),
    subject_id: Type.String({ description: 'Identifier of what was changed.' }),
    before: State,
    after: State,
    request_id: Nullable(Type.String({ description: 'The `x-request-id` of the answer.' })),
    occurred_at: Timestamp,
  },
  { title: 'AuditEntry', description: 'A change that somebody has made.' },
);
export type AuditEntry = Static<typeof AuditEntry>;

const filters = {
  after: Type.Optional(Type.String({ pattern: POSITION_PATTERN, description: 'Only entries after this `sequence`.' })),
  tenant_id: Type.Optional(Id('tenant')),
  subject_id: Type.Optional(Type.String({ maxLength: 100, description: 'Only entries about this subject.' })),
};

export const AuditQuery = Type.Object(
  {
    ...filters,
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1000,
        default: 100,
        description: 'Largest number of entries in the answer.',
      }),
    ),
  },
  { additionalProperties: false },
);
export type AuditQuery = Static<typeof AuditQuery>;

export const AuditExportQuery = Type.Object(filters, { additionalProperties: false });
export type AuditExportQuery = Static<typeof AuditExportQuery>;

export const AuditEntries = Type.Object(
  {
    data: Type.Array(AuditEntry),
    next_after: Nullable(Type.String({ description: 'Pass it as `after` to get later entries.' })),
  },
  { title: 'AuditEntries', description: 'Entries of the audit log, oldest first.' },
);
export type AuditEntries = Static<typeof AuditEntries>;

export const EXPORT_TYPE = 'application/x-ndjson';

export const AuditExport = {
  description: 'One entry a line, oldest first, up to the last one when the export began.',
  content: { [EXPORT_TYPE]: { schema: Binary('One JSON object a line, each an `AuditEntry`.') } },
};
