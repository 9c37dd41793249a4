import type { FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import type { RecordChange, WriteAuditEntry } from '../../platform/contract/record-change.ts';

declare module 'fastify' {
  interface FastifyInstance {
    writeAuditEntry: WriteAuditEntry;
  }
}

/** Decorates the app with the writer of the audit log. */
export default fp<{ write: WriteAuditEntry }>(async (app, { write }) => app.decorate('writeAuditEntry', write), {
  name: 'audit',
});

/**
 * Creates the function that writes the change that a request makes to the audit log. Services call it in the
 * transaction of the change.
 */
export function recordChangeOf(request: FastifyRequest): RecordChange {
  const { kind, keyId } = request.principal;
  const { operationId } = request.routeOptions.schema as { operationId: string };
  const { writeAuditEntry } = request.server;
  return (tx, change) =>
    writeAuditEntry(tx, { ...change, actor: { kind, keyId }, operation: operationId, requestId: request.id });
}
