import { once } from 'node:events';
import type { InjectOptions, LightMyRequestResponse } from 'fastify';
import { bearer } from '../support/index.ts';
import { EXAMPLES, type ExampleRequest } from './examples.ts';
import type { Operation } from './operations.ts';
import type { AccessWorld, Owner } from './world.ts';

/** Scopes included in each scope, as in docs/api.md. */
export const INCLUDES: Readonly<Record<string, readonly string[]>> = {
  operator: ['operator', 'operator:read', 'tenant:admin', 'tenant:write', 'tenant:read', 'serving:read'],
  'operator:read': ['operator:read'],
  'tenant:admin': ['tenant:admin', 'tenant:write', 'tenant:read', 'serving:read'],
  'tenant:write': ['tenant:write', 'tenant:read', 'serving:read'],
  'tenant:read': ['tenant:read', 'serving:read'],
  'serving:read': ['serving:read'],
};

/** Whether an operation admits a key with this scope alone. */
export function admits({ scopes }: Operation, held: string): boolean {
  return scopes?.some((least) => INCLUDES[held]?.includes(least)) === true;
}

/** Request of an operation that succeeds with the scope. */
export async function exampleOf(
  world: AccessWorld,
  operation: Operation,
  { scope = 'tenant:admin', owner = world.acme }: { scope?: string; owner?: Owner } = {},
): Promise<ExampleRequest> {
  return EXAMPLES[operation.id]!(world, { operator: scope.startsWith('operator'), owner });
}

let sent = 0;

/** Members of an answer that tests use. */
export type Answer = Pick<LightMyRequestResponse, 'statusCode' | 'body' | 'json' | 'headers'>;

/** Sends a request from an address of its own, because the number of unknown keys per address is limited. */
export function send(
  world: AccessWorld,
  operation: Operation,
  request: ExampleRequest,
  key: string | null,
): Promise<Answer> {
  sent += 1;
  const options: InjectOptions = {
    method: operation.method,
    url: operation.path.replaceAll(/\{(\w+)\}/g, (_all, name: string) => request.path?.[name] ?? 'missing'),
    query: request.query,
    payload: request.body,
    remoteAddress: `10.0.${sent >> 8}.${sent & 255}`,
    headers: {
      ...(key === null ? {} : bearer(key)),
      ...(request.contentType === undefined ? {} : { 'content-type': request.contentType }),
    },
  };
  return operation.isStream ? sendToStream(world, options) : world.service.app.inject(options);
}

/** Sends a request for a stream, reads its first data and disconnects, because it has no end. */
async function sendToStream({ service }: AccessWorld, options: InjectOptions): Promise<Answer> {
  const answer = await service.app.inject({ ...options, payloadAsStream: true });
  const { statusCode, headers } = answer;
  const [first] = (await once(answer.stream(), 'data')) as [Buffer];
  if (statusCode === 200) answer.raw.res.destroy();
  const body = first.toString();
  return { statusCode, headers, body, json: () => JSON.parse(body) };
}
