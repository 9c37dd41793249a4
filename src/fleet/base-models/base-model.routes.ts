import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import type { ModuleOptions } from '../../api/plugins/module-options.ts';
import { createSources, createUploads, withUploads } from '../../platform/base-sources/index.ts';
import { createSecretBox } from '../../platform/config/secret-box.ts';
import { PageQuery, pageOf } from '../../platform/contract/pagination.ts';
import { recordChangeOf } from '../../api/plugins/audit.ts';
import { readerOf, requireOperator, requireScope, tenantScope } from '../../api/plugins/auth.ts';
import { answerOnce, createdBelow, type AnswerHead } from '../../api/plugins/idempotency/answer-once.ts';
import { operationsOf } from '../../api/plugins/openapi/operation.ts';
import { createApprovalCheck } from '../rollouts/index.ts';
import {
  AtRisk,
  BaseModelResource,
  BaseModelParams,
  BaseModelVersion,
  BaseModelVersionParams,
  CreateBaseModel,
  CreateBaseModelVersion,
  CreatedBaseModelVersion,
  UpdateBaseModel,
  UpdateBaseModelVersion,
} from './base-model.schemas.ts';
import { createBaseModelService, requestedRollout } from './base-model.service.ts';

const operation = operationsOf('Base models');

const baseModelRoutes: FastifyPluginAsyncTypebox<ModuleOptions> = async (app, { config, deps }) => {
  const checkApproval = createApprovalCheck(config);
  const { allowedRoots, secretKeys } = config;
  const [remote, box] = [createSources(config), createSecretBox(secretKeys)];
  const service = ({ db }: Pick<FastifyRequest, 'db'>) => {
    const sources = () => withUploads(remote, createUploads({ ...deps, db }));
    return createBaseModelService({ ...deps, db, files: { allowedRoots, sources, box } });
  };
  app.post(
    '/base-models',
    {
      onRequest: requireOperator,
      schema: {
        ...operation('createBaseModel', 'Create a base model'),
        description:
          'Creates a base model without versions. Register its versions with `POST /v1/base-models/{model}/versions`.',
        body: CreateBaseModel,
        response: { 201: BaseModelResource },
      },
    },
    (request, reply) => {
      checkApproval(request.body.policy);
      return answerOnce<BaseModelResource>(request, reply, createdBelow('/v1/base-models'), (record) =>
        service(request).create(request.body, record),
      );
    },
  );
  app.get(
    '/base-models',
    {
      onRequest: requireScope('tenant:read'),
      schema: {
        ...operation('listBaseModels', 'List base models, newest first'),
        description: 'Lists the base models of the service, which all tenants share.',
        querystring: PageQuery,
        response: { 200: pageOf(BaseModelResource) },
      },
    },
    (request) => service(request).list(request.query, tenantScope(request)),
  );
  app.patch(
    '/base-models/:model',
    {
      onRequest: requireOperator,
      config: { problems: [422] },
      schema: {
        ...operation('updateBaseModel', 'Set the policy or the serving profile of a base model, or take it away'),
        description:
          'Rollouts that were accepted keep their policy. The serving profile says what engines accept: imports that ' +
          'break it are refused (422 `adapter_not_servable`), and so are the jobs that begin from now on for ' +
          'adapters that were imported before.',
        params: BaseModelParams,
        body: UpdateBaseModel,
        response: { 200: BaseModelResource },
      },
    },
    (request) => {
      checkApproval(request.body.policy);
      return service(request).update(request.params.model, request.body, recordChangeOf(request));
    },
  );
  app.get(
    '/base-models/:model',
    {
      onRequest: requireScope('tenant:read'),
      schema: {
        ...operation('getBaseModel', 'Get a base model'),
        description: 'Answers with the base model that the identifier or the name is of.',
        params: BaseModelParams,
        response: { 200: BaseModelResource },
      },
    },
    (request) => service(request).get(request.params.model, tenantScope(request)),
  );
  app.post(
    '/base-models/:model/versions',
    {
      onRequest: requireOperator,
      schema: {
        ...operation('createBaseModelVersion', 'Register a base model version and carry the fleet over to it'),
        description:
          'The first version of a model is answered with 201. A later version starts a rollout and is answered with ' +
          '202, unless `start_rollout` is false. With `dry_run` it asks for a forecast in place of the rollout.',
        params: BaseModelParams,
        body: CreateBaseModelVersion,
        response: { 201: CreatedBaseModelVersion, 202: CreatedBaseModelVersion },
      },
    },
    (request, reply) => {
      checkApproval(requestedRollout(request.body)?.policy);
      return answerOnce<CreatedBaseModelVersion>(request, reply, headOfVersion, (record) =>
        service(request).addVersion(request.params.model, request.body, record),
      );
    },
  );
  app.get(
    '/base-models/:model/versions',
    {
      onRequest: requireScope('serving:read'),
      schema: {
        ...operation('listBaseModelVersions', 'List the versions of a base model, newest first'),
        description: 'Lists the versions of one base model, also those whose files cannot be used.',
        params: BaseModelParams,
        querystring: PageQuery,
        response: { 200: pageOf(BaseModelVersion) },
      },
    },
    (request) => service(request).listVersions(request.params.model, request.query, readerOf(request)),
  );
  app.get(
    '/base-model-versions/:id',
    {
      onRequest: requireScope('serving:read'),
      config: { finalStates: ['verified', 'failed'] },
      schema: {
        ...operation('getBaseModelVersion', 'Get a base model version'),
        description: 'Answers with the version and whether its files were read.',
        params: BaseModelVersionParams,
        response: { 200: BaseModelVersion },
      },
    },
    (request) => service(request).getVersion(request.params.id, readerOf(request)),
  );
  app.patch(
    '/base-model-versions/:id',
    {
      onRequest: requireOperator,
      schema: {
        ...operation('updateBaseModelVersion', 'Set when a base model version retires, or take that back'),
        description:
          'Nothing happens by itself when it retires: `…/at-risk` says what that would hit, and forecasts ' +
          'and reports count with it.',
        params: BaseModelVersionParams,
        body: UpdateBaseModelVersion,
        response: { 200: BaseModelVersion },
      },
    },
    (request) => service(request).updateVersion(request.params.id, request.body, recordChangeOf(request)),
  );
  app.get(
    '/base-model-versions/:id/at-risk',
    {
      onRequest: requireOperator,
      schema: {
        ...operation('getAtRisk', 'Count the adapters that are at risk when a base model version retires'),
        description: '`GET /v1/adapters?at_risk_on=` lists them. It reads all adapters on the version: do not poll it.',
        params: BaseModelVersionParams,
        response: { 200: AtRisk },
      },
    },
    (request) => service(request).atRisk(request.params.id),
  );
};
export default baseModelRoutes;

function headOfVersion({ base_model_version: version, rollout, forecast }: CreatedBaseModelVersion): AnswerHead {
  const subject = { subjectId: version.id, tenantId: null };
  if (forecast !== null) return { status: 202, location: `/v1/rollout-forecasts/${forecast.id}`, ...subject };
  if (rollout === null) return { status: 201, location: `/v1/base-model-versions/${version.id}`, ...subject };
  return { status: 202, location: `/v1/rollouts/${rollout.id}`, ...subject };
}
