import type { FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import type { RecordChange, WriteAuditEntry } from '../../platform/contract/record-change.ts';

declare module 'fastify' {
  interface FastifyInstance {
    writeAuditEntry: WriteAuditEntry;
  }
}

/** Fastify plugin that gives the app the function that writes an entry to the audit log. */
export default fp<{ write: WriteAuditEntry }>(async (app, { write }) => app.decorate('writeAuditEntry', write), {
  name: 'audit',
});

/**
 * Creates the function with which a service records a request's change in the audit log. The service calls it in the
 * transaction that makes the change.
 */
export function recordChangeOf(request: FastifyRequest): RecordChange {
  const { kind, keyId } = request.principal;
  const { operationId } = request.routeOptions.schema as { operationId: string };
  const { writeAuditEntry } = request.server;
  return (tx, change) =>
    writeAuditEntry(tx, { ...change, actor: { kind, keyId }, operation: operationId, requestId: request.id });
}
