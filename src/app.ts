import { randomUUID } from 'node:crypto';
import Fastify, { LogController, type FastifyBaseLogger, type FastifyInstance } from 'fastify';
import type { AppDependencies, ModuleOptions, ModulePlugin } from './app-dependencies.ts';
import type { Config } from './config/config.ts';
import adapterRoutes from './modules/adapters/adapter.routes.ts';
import versionFileRoutes from './modules/adapters/files/version-file.routes.ts';
import currentVersionRoutes from './modules/adapters/current/current-version.routes.ts';
import apiKeyRoutes from './modules/api-keys/api-key.routes.ts';
import callerRoutes from './modules/api-keys/caller.routes.ts';
import auditRoutes from './modules/audit/audit.routes.ts';
import { createAuthenticator } from './modules/api-keys/index.ts';
import baseModelRoutes from './modules/base-models/base-model.routes.ts';
import baseUploadRoutes from './modules/base-uploads/base-upload.routes.ts';
import datasetRoutes from './modules/datasets/dataset.routes.ts';
import deletionRoutes from './modules/deletion/deletion.routes.ts';
import undeleteRoutes from './modules/deletion/undelete.routes.ts';
import eventStreamRoutes from './modules/events/event-stream.routes.ts';
import eventRoutes from './modules/events/event.routes.ts';
import evolutionRoutes from './modules/evolutions/evolution.routes.ts';
import exportRoutes from './modules/export/export.routes.ts';
import forecastRoutes from './modules/forecasts/forecast.routes.ts';
import healthRoutes from './modules/health/health.routes.ts';
import { storeWarnings } from './modules/health/index.ts';
import byFilterRoutes from './modules/jobs/by-filter/by-filter.routes.ts';
import jobRoutes from './modules/jobs/job.routes.ts';
import ladderRoutes from './modules/jobs/ladder/ladder.routes.ts';
import overviewRoutes from './modules/overview/overview.routes.ts';
import quotaRoutes from './modules/quotas/quota.routes.ts';
import distributionRoutes from './modules/reports/distribution/distribution.routes.ts';
import replicaRoutes from './modules/replicas/replica.routes.ts';
import reportRoutes from './modules/reports/report.routes.ts';
import rollbackRoutes from './modules/rollbacks/rollback.routes.ts';
import rolloutRoutes from './modules/rollouts/rollout.routes.ts';
import servingRoutes from './modules/serving/serving.routes.ts';
import tenantRoutes from './modules/tenants/tenant.routes.ts';
import webhookRoutes from './modules/webhooks/webhook.routes.ts';
import { NO_TRACING } from './lib/tracing/tracing.ts';
import { registerPoolMetrics, registerServiceMetrics } from './modules/metrics/index.ts';
import { registerWorkerMetrics } from './modules/workers/index.ts';
import workerRoutes from './modules/workers/worker.routes.ts';
import { answerInTurn } from './plugins/answers/answers-in-turn.ts';
import auth from './plugins/auth.ts';
import confinement from './plugins/confinement.ts';
import { useCors } from './plugins/cors.ts';
import dashboard from './plugins/dashboard.ts';
import etag from './plugins/etag.ts';
import eventStreams from './plugins/event-streams.ts';
import idempotency from './plugins/idempotency/idempotency.ts';
import metrics from './plugins/metrics.ts';
import openapi from './plugins/openapi/openapi.ts';
import { useProblems } from './plugins/problems/problems.ts';
import { protocolErrors, useProtocolProblems } from './plugins/problems/protocol-errors.ts';
import rateLimit from './plugins/rate-limit/rate-limit.ts';
import { useJsonBodies } from './plugins/request-body/json-body.ts';
import { boundUnreadBody } from './plugins/request-body/unread-body.ts';
import requestLog from './plugins/request-log.ts';
import tracing from './plugins/tracing.ts';
import { useOpenSerialization } from './plugins/validation/serialization.ts';
import { useTypeBoxValidation } from './plugins/validation/validation.ts';

const MODULES: readonly ModulePlugin[] = [
  rolloutRoutes,
  rollbackRoutes,
  forecastRoutes,
  reportRoutes,
  distributionRoutes,
  jobRoutes,
  byFilterRoutes,
  ladderRoutes,
  eventRoutes,
  eventStreamRoutes,
  auditRoutes,
  tenantRoutes,
  quotaRoutes,
  apiKeyRoutes,
  callerRoutes,
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
  app.addHook('onRequest', async (request, reply) => boundUnreadBody(request, reply));
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
  const options: ModuleOptions = { config, deps: others };
  // Whose key it is, what its tenant may still request, and whether a request is a retry, has to be known before the request
  // can be confined to a tenant.
  await v1.register(rateLimit, { db, perMinute: config.rateLimitPerMinute });
  await v1.register(auth, { keys: createAuthenticator({ db }) });
  await v1.register(confinement, { db, rowSecurity });
  await v1.register(idempotency, { db, maxUploadBytes: config.uploadLimitBytes });
  await v1.register(etag);
  await v1.register(eventStreams, { db, config });
  for (const routes of MODULES) await v1.register(routes, options);
}
