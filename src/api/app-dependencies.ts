import type { Registry } from 'prom-client';
import type { AdapterInspector } from '../fleet/adapters/index.ts';
import type { ReadinessChecks } from '../operations/health/index.ts';
import type { Database } from '../platform/database/database.ts';
import type { Tracing } from '../platform/tracing/tracing.ts';
import type { ModuleDependencies } from './plugins/module-options.ts';

/** Parts from which the app is built. Entry points and tests create and close them; the app closes none. */
export interface AppDependencies extends ModuleDependencies {
  db: Database;
  /** Whether the database confines requests of tenants to their rows (default true). False where it cannot. */
  rowSecurity?: boolean;
  inspector: AdapterInspector;
  metrics: Registry;
  /** Default: nothing is traced. */
  tracing?: Tracing;
  /** Checks of /readyz besides those of the database and the queue. */
  readiness?: ReadinessChecks;
}
