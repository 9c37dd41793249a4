import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import build from 'fast-json-stringify';
import type { FastifyInstance, RouteOptions } from 'fastify';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { beforeAll, expect, test } from 'vitest';
import { renderOpenApi } from '../../../src/api/openapi.ts';
import { openSchema } from '../../../src/api/plugins/validation/serialization.ts';

type Answer = TSchema & { readonly content?: Readonly<Record<string, { readonly schema: TSchema }>> };

const routes: RouteOptions[] = [];

/** Records each route that the service registers. */
function noteRoutes(message: unknown): void {
  const { fastify } = message as { fastify: FastifyInstance };
  fastify.addHook('onRoute', (route) => void routes.push(route));
}

beforeAll(async () => {
  subscribe('fastify.initialization', noteRoutes);
  try {
    await renderOpenApi();
  } finally {
    unsubscribe('fastify.initialization', noteRoutes);
  }
});

// A schema compiles when the first request or answer needs it, so a successful start proves nothing.
test('the schemas of all answers can be compiled', () => {
  const answers = routes.flatMap(({ schema }) => Object.values((schema?.response ?? {}) as Record<string, Answer>));
  const schemas = answers.flatMap((answer) =>
    answer.content === undefined ? [answer] : Object.values(answer.content).map(({ schema }) => schema),
  );
  expect(schemas.length).toBeGreaterThan(150);
  for (const schema of new Set(schemas)) expect(build(openSchema({ ...schema }))).toBeTypeOf('function');
});

test('the schemas of all requests can be compiled', () => {
  const schemas = routes.flatMap(({ schema }) => {
    const { body, querystring, params, headers } = schema ?? {};
    return [body, querystring, params, headers].filter((part): part is TSchema => part !== undefined);
  });
  expect(schemas.length).toBeGreaterThan(150);
  for (const schema of new Set(schemas)) expect(Compile(schema).Check).toBeTypeOf('function');
});
