import type { Registry } from 'prom-client';
import type { AdapterInspector } from '../fleet/adapters/index.ts';
import type { ReadinessChecks } from '../operations/health/index.ts';
import type { Database } from '../platform/database/database.ts';
import type { Tracing } from '../platform/tracing/tracing.ts';
import type { ModuleDependencies } from './plugins/module-options.ts';

/** Objects from which the app is built. Entry points and tests create and close them; the app closes none of them. */
export interface AppDependencies extends ModuleDependencies {
  db: Database;
  /**
   * Whether the database confines requests of tenants to their rows by row-level security (default true). False if the
   * database cannot do so.
   */
  rowSecurity?: boolean;
  inspector: AdapterInspector;
  metrics: Registry;
  /** Tracing of requests in spans (default: requests are not traced). */
  tracing?: Tracing;
  /** Further checks that `/readyz` runs, besides those of the database and the queue. */
  readiness?: ReadinessChecks;
}
