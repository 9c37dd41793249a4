import build from 'fast-json-stringify';
import type { FastifyServerOptions, RouteOptions } from 'fastify';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { beforeAll, expect, test, vi } from 'vitest';
import { renderOpenApi } from '../../../src/openapi.ts';
import { openSchema } from '../../../src/plugins/validation/serialization.ts';

const routes = vi.hoisted((): RouteOptions[] => []);

/** Notes each route that the service registers. */
vi.mock(import('fastify'), async (original) => {
  const fastify = await original();
  const create = (options: FastifyServerOptions) =>
    fastify.default(options).addHook('onRoute', (route) => void routes.push(route));
  return { ...fastify, default: create as unknown as typeof fastify.default };
});

type Answer = TSchema & { readonly content?: Readonly<Record<string, { readonly schema: TSchema }>> };

beforeAll(renderOpenApi, 30_000);

// A schema is compiled when the first request or answer needs it, so the start of the service says nothing about it.
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
