import { Readable } from 'node:stream';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import type { ModuleOptions } from '../../api/plugins/module-options.ts';
import { requireScope, tenantScope } from '../../api/plugins/auth.ts';
import { matchesEtag } from '../../api/plugins/etag.ts';
import { operationsOf } from '../../api/plugins/openapi/operation.ts';
import { AuditEntries, AuditExport, AuditExportQuery, AuditQuery, EXPORT_TYPE } from './audit.schemas.ts';
import { createAuditService } from './audit.service.ts';

const operation = operationsOf('Audit log');

const auditRoutes: FastifyPluginAsyncTypebox<ModuleOptions> = async (app) => {
  app.get(
    '/audit-log',
    {
      onRequest: requireScope('tenant:admin'),
      config: { problems: [404, 410] },
      schema: {
        ...operation('listAuditEntries', 'List who has changed what, oldest first'),
        description: 'A tenant sees the changes of its own data, also those that the operator has made.',
        querystring: AuditQuery,
        response: { 200: AuditEntries },
      },
    },
    (request) => createAuditService(request).list(request.query, tenantScope(request)),
  );
  app.get(
    '/audit-log/export',
    {
      onRequest: requireScope('tenant:admin'),
      config: { problems: [404, 410] },
      schema: {
        ...operation('exportAuditLog', 'Export the audit log as JSONL'),
        description:
          'Answers with all entries after a position, up to the last one when the export began, as one JSON ' +
          'object a line.',
        querystring: AuditExportQuery,
        response: {
          200: AuditExport,
          304: Type.Null({ description: 'The client has the current answer already.' }),
        },
      },
    },
    async (request, reply) => {
      const found = await createAuditService(request).export(request.query, tenantScope(request));
      const etag = `W/"${found.end ?? 'empty'}"`;
      reply.header('etag', etag).header('cache-control', 'private, no-cache');
      if (matchesEtag(request.headers['if-none-match'], etag)) return reply.code(304).send(null);
      return reply.type(EXPORT_TYPE).send(Readable.from(linesOf(found.entries), { objectMode: false }));
    },
  );
};
export default auditRoutes;

async function* linesOf(entries: AsyncIterable<object>): AsyncGenerator<string> {
  for await (const entry of entries) yield `${JSON.stringify(entry)}\n`;
}
