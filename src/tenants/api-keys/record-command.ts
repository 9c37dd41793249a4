import type { RecordAnswer } from '../../platform/contract/record-answer.ts';
import { writeAuditEntry } from '../audit/index.ts';
import type { CreatedApiKey } from './api-key.schemas.ts';

/**
 * Creates the function that writes the audit entry for an API key that was created by a command instead of a request.
 * The entry names the operation of the API that does the same as the command.
 */
export function recordCommand(operation: string): RecordAnswer<CreatedApiKey> {
  return (tx, created, before) =>
    writeAuditEntry(tx, {
      tenantId: created.tenant_id,
      actor: { kind: 'command', keyId: null },
      operation,
      subjectId: created.id,
      before: before ?? null,
      after: { ...created, key: null },
      requestId: null,
    });
}
