import fp from 'fastify-plugin';
import type { Database } from '../../platform/database/database.ts';
import { confineTo } from '../../platform/database/row-security/confined-database.repository.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /**
     * Database restricted to what the caller of a request below /v1 may see: its own rows for a tenant, all rows for
     * the operator.
     */
    db: Database;
  }
}

interface ConfinementOptions {
  db: Database;
  /** False if the database cannot confine tenants. */
  rowSecurity: boolean;
}

/**
 * Gives every request a database restricted to what its caller may see. Routes have no other access to the database.
 */
export default fp<ConfinementOptions>(
  async (app, { db, rowSecurity }) => {
    // There is no initial value: the `onRequest` hook below sets the database before anything reads it.
    app.decorateRequest('db');
    app.addHook('onRequest', async (request) => {
      const { principal } = request;
      request.db = rowSecurity && principal.kind === 'tenant' ? confineTo(db, principal.tenantId) : db;
    });
  },
  { name: 'confinement', dependencies: ['auth'] },
);
