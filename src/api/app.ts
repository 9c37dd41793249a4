import { randomUUID } from 'node:crypto';
import Fastify, { LogController, type FastifyBaseLogger, type FastifyInstance } from 'fastify';
import type { AppDependencies } from './app-dependencies.ts';
import type { Config } from '../platform/config/config.ts';
import adapterRoutes from '../fleet/adapters/adapter.routes.ts';
import versionFileRoutes from '../fleet/adapters/files/version-file.routes.ts';
import currentVersionRoutes from '../fleet/adapters/current/current-version.routes.ts';
import apiKeyRoutes from '../tenants/api-keys/api-key.routes.ts';
import auditRoutes from '../tenants/audit/audit.routes.ts';
import { writeAuditEntry } from '../tenants/audit/index.ts';
import { createAuthenticator } from '../tenants/api-keys/index.ts';
import baseModelRoutes from '../fleet/base-models/base-model.routes.ts';
import baseUploadRoutes from '../fleet/base-uploads/base-upload.routes.ts';
import datasetRoutes from '../fleet/datasets/dataset.routes.ts';
import deletionRoutes from '../tenants/deletion/deletion.routes.ts';
import undeleteRoutes from '../tenants/deletion/undelete.routes.ts';
import eventStreamRoutes from '../delivery/events/event-stream.routes.ts';
import eventStreams from '../delivery/events/stream/event-streams.plugin.ts';
import eventRoutes from '../delivery/events/event.routes.ts';
import evolutionRoutes from '../fleet/evolutions/evolution.routes.ts';
import exportRoutes from '../tenants/export/export.routes.ts';
import forecastRoutes from '../fleet/forecasts/forecast.routes.ts';
import healthRoutes from '../operations/health/health.routes.ts';
import { storeWarnings } from '../operations/health/index.ts';
import byFilterRoutes from '../fleet/job-control/by-filter/by-filter.routes.ts';
import jobControlRoutes from '../fleet/job-control/job-control.routes.ts';
import jobRoutes from '../fleet/jobs/job.routes.ts';
import ladderRoutes from '../fleet/jobs/ladder/ladder.routes.ts';
import overviewRoutes from '../operations/overview/overview.routes.ts';
import quotaRoutes from '../tenants/quotas/quota.routes.ts';
import distributionRoutes from '../fleet/reports/distribution/distribution.routes.ts';
import replicaRoutes from '../delivery/replicas/replica.routes.ts';
import reportRoutes from '../fleet/reports/report.routes.ts';
import rollbackRoutes from '../fleet/rollbacks/rollback.routes.ts';
import rolloutRoutes from '../fleet/rollouts/rollout.routes.ts';
import servingRoutes from '../delivery/serving/serving.routes.ts';
import tenantRoutes from '../tenants/tenants/tenant.routes.ts';
import webhookRoutes from '../delivery/webhooks/webhook.routes.ts';
import { NO_TRACING } from '../platform/tracing/tracing.ts';
import { registerPoolMetrics, registerServiceMetrics } from '../operations/metrics/index.ts';
import { registerWorkerMetrics } from '../operations/workers/index.ts';
import workerRoutes from '../operations/workers/worker.routes.ts';
import { answerInTurn } from './plugins/answers/answers-in-turn.ts';
import audit from './plugins/audit.ts';
import auth from './plugins/auth.ts';
import { useCors } from './plugins/cors.ts';
import dashboard from './plugins/dashboard.ts';
import etag from './plugins/etag.ts';
import idempotency from './plugins/idempotency/idempotency.ts';
import metrics from './plugins/metrics.ts';
import type { ModuleOptions, ModulePlugin } from './plugins/module-options.ts';
import openapi from './plugins/openapi/openapi.ts';
import { useProblems } from './plugins/problems/problems.ts';
import { protocolErrors, useProtocolProblems } from './plugins/problems/protocol-errors.ts';
import rateLimit from './plugins/rate-limit/rate-limit.ts';
import { useJsonBodies } from './plugins/request-body/json-body.ts';
import requestLog from './plugins/request-log.ts';
import tracing from './plugins/tracing.ts';
import { useOpenSerialization } from './plugins/validation/serialization.ts';
import { useTypeBoxValidation } from './plugins/validation/validation.ts';

type Dependencies = Omit<AppDependencies, 'db'>;

const MODULES: readonly ModulePlugin<Dependencies>[] = [
  rolloutRoutes,
  rollbackRoutes,
  forecastRoutes,
  reportRoutes,
  distributionRoutes,
  jobRoutes,
  jobControlRoutes,
  byFilterRoutes,
  ladderRoutes,
  eventRoutes,
  eventStreamRoutes,
  auditRoutes,
  tenantRoutes,
  quotaRoutes,
  apiKeyRoutes,
  baseModelRoutes,
  baseUploadRoutes,
  evolutionRoutes,
  overviewRoutes,
  datasetRoutes,
  adapterRoutes,
  versionFileRoutes,
  currentVersionRoutes,
  servingRoutes,
  deletionRoutes,
  undeleteRoutes,
  exportRoutes,
  workerRoutes,
  webhookRoutes,
  replicaRoutes,
];

/**
 * Property of a Fastify plugin function that holds the plugin's name. If a plugin lacks it, Fastify searches all
 * CommonJS modules in memory for the plugin.
 */
const PLUGIN_NAME = Symbol.for('fastify.display-name');

interface AppOptions {
  config: Config;
  deps: AppDependencies;
}

/** Builds the HTTP service, ready to `listen` or `inject`. */
export async function buildApp(config: Config, deps: AppDependencies): Promise<FastifyInstance> {
  const loggerInstance: FastifyBaseLogger = deps.logger;
  const app: FastifyInstance = Fastify({
    loggerInstance,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    genReqId: () => randomUUID(),
    bodyLimit: config.bodyLimitBytes,
    forceCloseConnections: 'idle',
    connectionTimeout: config.idleTimeoutMs,
    routerOptions: { maxParamLength: 200 },
    ...protocolErrors,
  });
  answerInTurn(app);
  useProtocolProblems(app);
  useTypeBoxValidation(app);
  useOpenSerialization(app);
  useProblems(app);
  useJsonBodies(app);
  await useCors(app, config.corsOrigins);
  await app.register(requestLog);
  await app.register(tracing, { tracing: deps.tracing ?? NO_TRACING });
  await app.register(metrics, { registry: deps.metrics });
  const { db, logger, producer } = deps;
  const health = {
    db,
    checks: { queue: () => producer.check(), ...deps.readiness },
    warnings: storeWarnings(deps.artifacts),
    clockToleranceMs: config.clockToleranceMs,
  };
  registerWorkerMetrics(deps.metrics, deps);
  registerServiceMetrics(deps.metrics, { ...health, producer, logger });
  registerPoolMetrics(deps.metrics, db);
  await app.register(openapi);
  await app.register(healthRoutes, health);
  if (config.dashboard) await app.register(dashboard, {});
  await app.register((v1) => registerV1(v1, { config, deps }), { prefix: '/v1' });
  return app;
}

async function registerV1(v1: FastifyInstance, { config, deps }: AppOptions): Promise<void> {
  const { db, rowSecurity = true, ...others } = deps;
  const options: ModuleOptions<Dependencies> = { config, deps: others };
  // Authentication, the rate limit and the check for retries read rows of all tenants, so they use `db` itself. The
  // confined database of a request is only for the routes.
  await v1.register(rateLimit, { db, perMinute: config.rateLimitPerMinute });
  await v1.register(auth, { keys: createAuthenticator({ db }), db, rowSecurity });
  await v1.register(audit, { write: writeAuditEntry });
  await v1.register(idempotency, { db, maxUploadBytes: config.uploadLimitBytes });
  await v1.register(etag);
  await v1.register(eventStreams, { db, config });
  for (const routes of MODULES) await v1.register(Object.assign(routes, { [PLUGIN_NAME]: routes.name }), options);
}
