import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { ModuleOptions } from '../../api/plugins/module-options.ts';
import { PageQuery, pageOf } from '../../platform/contract/pagination.ts';
import { recordChangeOf } from '../../api/plugins/audit.ts';
import { requireOperator } from '../../api/plugins/auth.ts';
import { operationsOf } from '../../api/plugins/openapi/operation.ts';
import { DrainQuery, Worker, WorkerParams } from './worker.schemas.ts';
import { createWorkerService } from './worker.service.ts';

const operation = operationsOf('Workers');

const workerRoutes: FastifyPluginAsyncTypebox<ModuleOptions> = async (app) => {
  app.get(
    '/workers',
    {
      onRequest: requireOperator,
      schema: {
        ...operation('listWorkers', 'List workers, the last started first'),
        description: 'Workers that are gone are listed for a day.',
        querystring: PageQuery,
        response: { 200: pageOf(Worker) },
      },
    },
    (request) => createWorkerService(request).list(request.query),
  );
  app.get(
    '/workers/:id',
    {
      onRequest: requireOperator,
      schema: {
        ...operation('getWorker', 'Get a worker'),
        description: 'Answers with the state of the worker and what it is doing.',
        params: WorkerParams,
        response: { 200: Worker },
      },
    },
    (request) => createWorkerService(request).get(request.params.id),
  );
  app.post(
    '/workers/:id/drain',
    {
      onRequest: requireOperator,
      config: { location: false },
      schema: {
        ...operation('drainWorker', 'Let a worker finish and stop, or finish and wait'),
        description:
          'The worker ends the job that it runs, takes no other and stops, which begins within five seconds. ' +
          'With `stop=false` it keeps ' +
          'its process, and waits for its release. Of two requests the later one counts. Workers of version ' +
          '0.2 take no notice of `stop=false`.',
        params: WorkerParams,
        querystring: DrainQuery,
        response: { 202: Worker },
      },
    },
    async (request, reply) =>
      reply
        .code(202)
        .send(
          await createWorkerService(request).drain(
            request.params.id,
            { stop: request.query.stop ?? true },
            recordChangeOf(request),
          ),
        ),
  );
  app.post(
    '/workers/:id/release',
    {
      onRequest: requireOperator,
      config: { location: false },
      schema: {
        ...operation('releaseWorker', 'Let a drained worker take jobs again'),
        description:
          'The worker takes jobs again within five seconds, unless it has stopped. For one that was not ' +
          'drained, nothing changes. ' +
          'A worker that is drained by a signal to its process stops all the same.',
        params: WorkerParams,
        response: { 202: Worker },
      },
    },
    async (request, reply) =>
      reply.code(202).send(await createWorkerService(request).release(request.params.id, recordChangeOf(request))),
  );
  app.post(
    '/workers/:id/lift-quarantine',
    {
      onRequest: requireOperator,
      config: { location: false },
      schema: {
        ...operation('liftQuarantine', 'End the quarantine of a worker'),
        description:
          'The worker takes jobs again within five seconds. For one that is not quarantined, nothing changes.',
        params: WorkerParams,
        response: { 202: Worker },
      },
    },
    async (request, reply) =>
      reply.code(202).send(await createWorkerService(request).lift(request.params.id, recordChangeOf(request))),
  );
};
export default workerRoutes;
