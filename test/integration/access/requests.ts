import { once } from 'node:events';
import type { InjectOptions, LightMyRequestResponse } from 'fastify';
import { bearer } from '../support/index.ts';
import { EXAMPLES, type ExampleRequest } from './examples.ts';
import type { Operation } from './operations.ts';
import type { AccessWorld, Owner } from './world.ts';

/** Which scopes each scope includes, as docs/api.md says. */
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

/** The request of an operation that succeeds with this scope. */
export async function exampleOf(
  world: AccessWorld,
  operation: Operation,
  { scope = 'tenant:admin', owner = world.acme }: { scope?: string; owner?: Owner } = {},
): Promise<ExampleRequest> {
  return EXAMPLES[operation.id]!(world, { operator: scope.startsWith('operator'), owner });
}

let sent = 0;

/** The answer's own members of which tests make use. */
export type Answer = Pick<LightMyRequestResponse, 'statusCode' | 'body' | 'json' | 'headers'>;

/** Each request comes from an address of its own, because each address may send only so many unknown keys. */
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

/** A stream has no end: its answer is what comes first, and then the client goes. */
async function sendToStream({ service }: AccessWorld, options: InjectOptions): Promise<Answer> {
  const answer = await service.app.inject({ ...options, payloadAsStream: true });
  const { statusCode, headers } = answer;
  const [first] = (await once(answer.stream(), 'data')) as [Buffer];
  if (statusCode === 200) answer.raw.res.destroy();
  const body = first.toString();
  return { statusCode, headers, body, json: () => JSON.parse(body) };
}
