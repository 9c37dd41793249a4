import type { FastifyRequest } from 'fastify';
import type { RecordChange } from '../lib/record-change.ts';
import { writeAuditEntry } from '../modules/audit/index.ts';

/** Writes the change that a request makes to the audit log. Services call it in the transaction of the change. */
export function recordChangeOf(request: FastifyRequest): RecordChange {
  const { kind, keyId } = request.principal;
  const { operationId } = request.routeOptions.schema as { operationId: string };
  return (tx, change) =>
    writeAuditEntry(tx, { ...change, actor: { kind, keyId }, operation: operationId, requestId: request.id });
}
