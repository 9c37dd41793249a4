import fp from 'fastify-plugin';
import type { Database } from '../../platform/database/database.ts';
import { confineTo } from '../../platform/database/row-security/confined-database.repository.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The database as the caller of a request below /v1 may see it: a tenant its own rows, the operator all. */
    db: Database;
  }
}

interface ConfinementOptions {
  db: Database;
  /** False where the database cannot confine tenants. */
  rowSecurity: boolean;
}

/** Gives every request the database as its caller may see it. Routes have no other access. */
export default fp<ConfinementOptions>(
  async (app, { db, rowSecurity }) => {
    // The hook sets it before anything can read it.
    app.decorateRequest('db');
    app.addHook('onRequest', async (request) => {
      const { principal } = request;
      request.db = rowSecurity && principal.kind === 'tenant' ? confineTo(db, principal.tenantId) : db;
    });
  },
  { name: 'confinement', dependencies: ['auth'] },
);
