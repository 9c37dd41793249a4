import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import type { ModuleOptions } from '../../../api/plugins/module-options.ts';
import { pageOf, PageQuery } from '../../../platform/contract/pagination.ts';
import { requireScope, tenantScope } from '../../../api/plugins/auth.ts';
import { unlessUnchanged } from '../../../api/plugins/etag.ts';
import { operationsOf } from '../../../api/plugins/openapi/operation.ts';
import { JobParams } from '../job.schemas.ts';
import { createJobService } from '../job.service.ts';
import { JobLadder, SearchPoint, SearchSurrogate } from './ladder.schemas.ts';
import { createLadderService } from './ladder.service.ts';

const operation = operationsOf('Jobs');

const ladderRoutes: FastifyPluginAsyncTypebox<ModuleOptions> = async (app, { deps }) => {
  /**
   * Checks that the caller may see a job, and returns the job.
   * @throws AppError 404 if the caller may not see the job
   */
  const found = async (request: FastifyRequest, id: string) => {
    await createJobService({ ...deps, db: request.db }).get(id, tenantScope(request));
    return createLadderService({ db: request.db });
  };
  app.get(
    '/jobs/:id/ladder',
    {
      onRequest: requireScope('tenant:read'),
      schema: {
        ...operation('getJobLadder', 'Get what a job has tried'),
        description:
          'Every rung of the strategy, with the time it took and why it was skipped, and what the gate said of each ' +
          'candidate. It grows while the job runs. An attempt that resumes from a checkpoint goes on where the one ' +
          'before was; a retry begins another run.',
        params: JobParams,
        response: { 200: JobLadder },
      },
    },
    async (request) => (await found(request, request.params.id)).ladder(request.params.id),
  );
  app.get(
    '/jobs/:id/search-points',
    {
      onRequest: requireScope('tenant:read'),
      schema: {
        ...operation('listSearchPoints', 'List the points of the search of a job, the first ones first'),
        description: 'Fusion coefficients and the loss that the search has measured with them. A retry measures anew.',
        params: JobParams,
        querystring: PageQuery,
        response: { 200: pageOf(SearchPoint) },
      },
    },
    async (request) => (await found(request, request.params.id)).searchPoints(request.params.id, request.query),
  );
  app.get(
    '/jobs/:id/search-surrogate',
    {
      onRequest: requireScope('tenant:read'),
      schema: {
        ...operation('getSearchSurrogate', 'Get the model of the search of a job, over a grid of coefficients'),
        description:
          'A Gaussian process, as the search uses one to propose points, fitted to all that this job has measured.',
        params: JobParams,
        response: { 200: SearchSurrogate },
      },
    },
    (request, reply) => {
      const { id } = request.params;
      const [jobs, scope] = [createJobService({ ...deps, db: request.db }), tenantScope(request)];
      return unlessUnchanged(request, reply, {
        version: () => jobs.version(id, scope),
        body: async () => (await found(request, id)).surrogate(id),
      });
    },
  );
};
export default ladderRoutes;
