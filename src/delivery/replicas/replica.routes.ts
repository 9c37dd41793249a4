import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import Type from 'typebox';
import type { ModuleOptions } from '../../api/plugins/module-options.ts';
import { createAddressPolicy } from '../../platform/outgoing/address-policy.ts';
import { PageQuery, pageOf } from '../../platform/contract/pagination.ts';
import { createSecretBox } from '../../platform/config/secret-box.ts';
import { recordChangeOf } from '../../api/plugins/audit.ts';
import { requireOperator } from '../../api/plugins/auth.ts';
import { answerOnce } from '../../api/plugins/idempotency/answer-once.ts';
import { operationsOf } from '../../api/plugins/openapi/operation.ts';
import {
  CreateReplica,
  ListReplicaAdapters,
  Replica,
  ReplicaAdapter,
  ReplicaParams,
  UpdateReplica,
} from './replica.schemas.ts';
import { createReplicaService } from './replica.service.ts';

const operation = operationsOf('Replicas');

const created = ({ id }: Replica) => ({
  status: 201 as const,
  location: `/v1/replicas/${id}`,
  subjectId: id,
  tenantId: null,
});

const replicaRoutes: FastifyPluginAsyncTypebox<ModuleOptions> = async (app, { config }) => {
  const policy = createAddressPolicy(config.replicaAllowedRanges);
  const box = createSecretBox(config.secretKeys);
  const service = ({ db }: Pick<FastifyRequest, 'db'>) => createReplicaService({ db, policy, box });
  const onRequest = requireOperator;
  app.post(
    '/replicas',
    {
      onRequest,
      config: { problems: [404] },
      schema: {
        ...operation('createReplica', 'Add a replica of a serving engine'),
        description:
          'From now on the service loads there what is current on the base model version, checks it, and ' +
          'unloads what is not current any more.',
        body: CreateReplica,
        response: { 201: Replica },
      },
    },
    (request, reply) => answerOnce(request, reply, created, (record) => service(request).create(request.body, record)),
  );
  app.get(
    '/replicas',
    {
      onRequest,
      schema: {
        ...operation('listReplicas', 'List replicas, newest first'),
        description: 'Lists replicas with their state and the numbers of their adapters.',
        querystring: PageQuery,
        response: { 200: pageOf(Replica) },
      },
    },
    (request) => service(request).list(request.query),
  );
  app.get(
    '/replicas/:id',
    {
      onRequest,
      schema: {
        ...operation('getReplica', 'Get a replica'),
        description: 'Answers with the state of the replica, and why it is not in sync, if it is not.',
        params: ReplicaParams,
        response: { 200: Replica },
      },
    },
    (request) => service(request).get(request.params.id),
  );
  app.patch(
    '/replicas/:id',
    {
      onRequest,
      config: { problems: [409, 422] },
      schema: {
        ...operation('updateReplica', 'Change a replica'),
        description: 'The replica is compared with its new settings at once.',
        params: ReplicaParams,
        body: UpdateReplica,
        response: { 200: Replica },
      },
    },
    (request) => service(request).update(request.params.id, request.body, recordChangeOf(request)),
  );
  app.delete(
    '/replicas/:id',
    {
      onRequest,
      schema: {
        ...operation('deleteReplica', 'Remove a replica'),
        description: 'Nothing is loaded or unloaded there any more. The engine keeps what it has.',
        params: ReplicaParams,
        response: { 204: Type.Null({ description: 'The replica is removed.' }) },
      },
    },
    async (request, reply) => {
      await service(request).delete(request.params.id, recordChangeOf(request));
      return reply.code(204).send(null);
    },
  );
  app.get(
    '/replicas/:id/adapters',
    {
      onRequest,
      schema: {
        ...operation('listReplicaAdapters', 'List what a replica has loaded or should load'),
        description: 'Lists versions of adapters with their state there, in the order in which they were first wanted.',
        params: ReplicaParams,
        querystring: ListReplicaAdapters,
        response: { 200: pageOf(ReplicaAdapter) },
      },
    },
    (request) => service(request).adapters(request.params.id, request.query),
  );
};
export default replicaRoutes;
