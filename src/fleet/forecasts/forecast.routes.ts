import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import type { ModuleOptions } from '../../api/plugins/module-options.ts';
import { pageOf } from '../../platform/contract/pagination.ts';
import { requireOperator } from '../../api/plugins/auth.ts';
import { answerOnce } from '../../api/plugins/idempotency/answer-once.ts';
import { operationsOf } from '../../api/plugins/openapi/operation.ts';
import { createApprovalCheck } from '../rollouts/index.ts';
import {
  CreateForecast,
  Forecast,
  ForecastEntry,
  ForecastParams,
  ForecastQuery,
  RolloutForecastParams,
} from './forecast.schemas.ts';
import { createForecastService } from './forecast.service.ts';

const operation = operationsOf('Rollouts');

const forecastRoutes: FastifyPluginAsyncTypebox<ModuleOptions> = async (app, { config, deps }) => {
  const checkApproval = createApprovalCheck(config);
  const service = ({ db }: Pick<FastifyRequest, 'db'>) => createForecastService({ ...deps, db });
  app.post(
    '/rollout-forecasts',
    {
      onRequest: requireOperator,
      schema: {
        ...operation('createRolloutForecast', 'Ask what a rollout would do, without beginning it'),
        description:
          'A dry run of `POST /v1/rollouts` with the same body. A worker verifies the versions, computes and keeps ' +
          'the evolutions, counts who would be carried over, and predicts how long it takes. Nothing that is served ' +
          'changes, and no job is planned.',
        body: CreateForecast,
        response: { 202: Forecast },
      },
    },
    (request, reply) => {
      checkApproval(request.body.options?.policy);
      return answerOnce<Forecast>(
        request,
        reply,
        ({ id }) => ({ status: 202, location: `/v1/rollout-forecasts/${id}`, subjectId: id, tenantId: null }),
        (record) => service(request).create(request.body, record),
      );
    },
  );
  app.get(
    '/rollout-forecasts',
    {
      onRequest: requireOperator,
      schema: {
        ...operation('listRolloutForecasts', 'List forecasts of rollouts, newest first'),
        description: 'What each has found is in the forecast itself.',
        querystring: ForecastQuery,
        response: { 200: pageOf(ForecastEntry) },
      },
    },
    (request) => service(request).list(request.query),
  );
  app.get(
    '/rollout-forecasts/:id',
    {
      onRequest: requireOperator,
      config: { finalStates: ['computed', 'failed'] },
      schema: {
        ...operation('getRolloutForecast', 'Get a forecast of a rollout'),
        description:
          'Answers with what was predicted and, as soon as there is a rollout of the same version and options, ' +
          'with what that has taken.',
        params: ForecastParams,
        response: { 200: Forecast },
      },
    },
    (request) => service(request).get(request.params.id),
  );
  app.get(
    '/rollouts/:id/forecast',
    {
      onRequest: requireOperator,
      schema: {
        ...operation('getForecastOfRollout', 'Get what a rollout was predicted to take, beside what it has taken'),
        description: 'The rollout makes it before its jobs are planned. Until then, the answer is 404.',
        params: RolloutForecastParams,
        response: { 200: Forecast },
      },
    },
    (request) => service(request).ofRollout(request.params.id),
  );
};
export default forecastRoutes;
