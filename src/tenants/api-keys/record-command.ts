import type { RecordAnswer } from '../../platform/contract/record-answer.ts';
import { writeAuditEntry } from '../audit/index.ts';
import type { CreatedApiKey } from './api-key.schemas.ts';

/**
 * Creates the function that writes the audit entry if a command, and not a request, has created an API key. The entry
 * names the operation of the API that does the same.
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
