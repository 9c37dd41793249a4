import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import Type from 'typebox';
import type { ModuleOptions } from '../../api/plugins/module-options.ts';
import { createAddressPolicy } from '../../platform/outgoing/address-policy.ts';
import { pageOf } from '../../platform/contract/pagination.ts';
import { createSecretBox } from '../../platform/config/secret-box.ts';
import { recordChangeOf } from '../../api/plugins/audit.ts';
import { requireScope, tenantScope } from '../../api/plugins/auth.ts';
import { answerOnce } from '../../api/plugins/idempotency/answer-once.ts';
import { operationsOf } from '../../api/plugins/openapi/operation.ts';
import {
  CreatedWebhookEndpoint,
  CreateWebhookEndpoint,
  ListWebhookDeliveries,
  ListWebhookEndpoints,
  ReplayWebhookEvents,
  RotateWebhookSecret,
  UpdateWebhookEndpoint,
  WebhookDelivery,
  WebhookDeliveryParams,
  WebhookEndpoint,
  WebhookEndpointParams,
} from './webhook.schemas.ts';
import { createWebhookService } from './webhook.service.ts';

const operation = operationsOf('Webhooks');

const created = ({ id, tenant_id: tenantId }: CreatedWebhookEndpoint) => ({
  status: 201 as const,
  location: `/v1/webhook-endpoints/${id}`,
  subjectId: id,
  tenantId,
});

const webhookRoutes: FastifyPluginAsyncTypebox<ModuleOptions> = async (app, { config }) => {
  const policy = createAddressPolicy(config.webhookAllowedRanges);
  const box = createSecretBox(config.secretKeys);
  const service = ({ db }: Pick<FastifyRequest, 'db'>) => createWebhookService({ db, policy, box });
  const onRequest = requireScope('tenant:admin');
  app.post(
    '/webhook-endpoints',
    {
      onRequest,
      config: { idempotencySecrets: ['secret'], problems: [404] },
      schema: {
        ...operation('createWebhookEndpoint', 'Create a webhook endpoint'),
        description:
          'Events that are committed from now on are sent to the URL, signed by Standard Webhooks. The answer has ' +
          'the secret, which cannot be shown again.',
        body: CreateWebhookEndpoint,
        response: { 201: CreatedWebhookEndpoint },
      },
    },
    (request, reply) =>
      answerOnce(request, reply, created, (record) =>
        service(request).create(request.body, tenantScope(request), record),
      ),
  );
  app.get(
    '/webhook-endpoints',
    {
      onRequest,
      config: { problems: [404] },
      schema: {
        ...operation('listWebhookEndpoints', 'List webhook endpoints, newest first'),
        description: 'Lists endpoints without their secrets, also those that are disabled.',
        querystring: ListWebhookEndpoints,
        response: { 200: pageOf(WebhookEndpoint) },
      },
    },
    (request) => service(request).list(request.query, tenantScope(request)),
  );
  app.get(
    '/webhook-endpoints/:id',
    {
      onRequest,
      schema: {
        ...operation('getWebhookEndpoint', 'Get a webhook endpoint'),
        description: 'Answers with the endpoint, and why it is disabled, if it is.',
        params: WebhookEndpointParams,
        response: { 200: WebhookEndpoint },
      },
    },
    (request) => service(request).get(request.params.id, tenantScope(request)),
  );
  app.patch(
    '/webhook-endpoints/:id',
    {
      onRequest,
      config: { problems: [422] },
      schema: {
        ...operation('updateWebhookEndpoint', 'Change, enable or disable a webhook endpoint'),
        description: 'An endpoint that is enabled again goes on where it was.',
        params: WebhookEndpointParams,
        body: UpdateWebhookEndpoint,
        response: { 200: WebhookEndpoint },
      },
    },
    (request) =>
      service(request).update(request.params.id, request.body, tenantScope(request), recordChangeOf(request)),
  );
  app.delete(
    '/webhook-endpoints/:id',
    {
      onRequest,
      schema: {
        ...operation('deleteWebhookEndpoint', 'Delete a webhook endpoint'),
        description: 'Nothing is sent to the endpoint any more, and its deliveries are gone.',
        params: WebhookEndpointParams,
        response: { 204: Type.Null({ description: 'The endpoint is gone, with its secrets and its log.' }) },
      },
    },
    async (request, reply) => {
      await service(request).delete(request.params.id, tenantScope(request), recordChangeOf(request));
      return reply.code(204).send(null);
    },
  );
  app.post(
    '/webhook-endpoints/:id/rotate-secret',
    {
      onRequest,
      config: { idempotencySecrets: ['secret'] },
      schema: {
        ...operation('rotateWebhookSecret', 'Give a webhook endpoint a new secret'),
        description:
          'What is sent has a signature by the new secret and, for `overlap_ms`, one by the old secret besides. The ' +
          'answer has the new secret, which cannot be shown again.',
        params: WebhookEndpointParams,
        body: RotateWebhookSecret,
        response: { 201: CreatedWebhookEndpoint },
      },
    },
    (request, reply) =>
      answerOnce(request, reply, created, (record) =>
        service(request).rotate(request.params.id, request.body, tenantScope(request), record),
      ),
  );
  app.post(
    '/webhook-endpoints/:id/test',
    {
      onRequest,
      schema: {
        ...operation('testWebhookEndpoint', 'Send a test event to a webhook endpoint'),
        description:
          'Sends an event of the type `webhook_endpoint.tested`, whatever types are chosen. Its delivery is ' +
          'in the log of the endpoint.',
        params: WebhookEndpointParams,
        response: { 202: WebhookDelivery },
      },
    },
    (request, reply) =>
      answerOnce(
        request,
        reply,
        ({ endpoint_id: subjectId }: WebhookDelivery) => ({
          status: 202,
          location: `/v1/webhook-endpoints/${subjectId}/deliveries`,
          subjectId,
          tenantId: tenantScope(request),
        }),
        (record) => service(request).test(request.params.id, tenantScope(request), record),
      ),
  );
  app.post(
    '/webhook-endpoints/:id/replay',
    {
      onRequest,
      config: { problems: [410] },
      schema: {
        ...operation('replayWebhookEvents', 'Send events to a webhook endpoint again'),
        description:
          'Moves the position of the endpoint: events after it are sent again, with the same `webhook-id`. A later ' +
          'position leaves out what is between.',
        params: WebhookEndpointParams,
        body: ReplayWebhookEvents,
        response: { 200: WebhookEndpoint },
      },
    },
    (request) =>
      service(request).replay(request.params.id, request.body, tenantScope(request), recordChangeOf(request)),
  );
  app.get(
    '/webhook-endpoints/:id/deliveries',
    {
      onRequest,
      schema: {
        ...operation('listWebhookDeliveries', 'List what was sent to a webhook endpoint, newest first'),
        description: 'Lists what was sent or is to be sent, with the outcome of the last attempt.',
        params: WebhookEndpointParams,
        querystring: ListWebhookDeliveries,
        response: { 200: pageOf(WebhookDelivery) },
      },
    },
    (request) => service(request).deliveries(request.params.id, request.query, tenantScope(request)),
  );
  app.post(
    '/webhook-endpoints/:id/deliveries/:delivery_id/replay',
    {
      onRequest,
      schema: {
        ...operation('replayWebhookDelivery', 'Send one event to a webhook endpoint again'),
        description: 'Begins the attempts of this event anew, also where it was delivered.',
        params: WebhookDeliveryParams,
        response: { 200: WebhookDelivery },
      },
    },
    (request) => service(request).replayDelivery(request.params, tenantScope(request), recordChangeOf(request)),
  );
};
export default webhookRoutes;
