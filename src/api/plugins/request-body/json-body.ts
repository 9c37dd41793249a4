import type { FastifyInstance, FastifyRequest } from 'fastify';
import { AppError } from '../../../platform/contract/errors.ts';
import { invalidRequest } from '../validation/validation.ts';
import { excessOf } from './json-structure.ts';

const decoder = new TextDecoder('utf-8', { fatal: true });

/**
 * Accepts only bodies of type application/json. They have to be UTF-8, uncompressed and of bounded structure, and must
 * not have members that would set a prototype. An empty body counts as none, so clients may always send the content
 * type.
 */
export function useJsonBodies(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeAllContentTypeParsers();
  app.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    if (body.length === 0) return done(expectsBody(request) ? malformed('the body is empty, expected JSON') : null);
    const excess = excessOf(body);
    if (excess !== null) return done(tooMuch(excess));
    let text: string;
    try {
      text = decoder.decode(body);
    } catch {
      return done(malformed('the body is not valid UTF-8'));
    }
    return parse(request, text, done);
  });
  app.addHook('onRequest', async (request) => {
    const encoding = request.headers['content-encoding']?.trim().toLowerCase();
    if (encoding !== undefined && encoding !== '' && encoding !== 'identity') throw compressed(encoding);
  });
}

function expectsBody(request: FastifyRequest): boolean {
  const body = request.routeOptions.schema?.body as { default?: unknown } | undefined;
  return body !== undefined && body.default === undefined;
}

function tooMuch(message: string): AppError {
  return invalidRequest([{ keyword: 'structure', instancePath: '', schemaPath: '#', params: {}, message }], 'body');
}

function malformed(message: string): AppError {
  return new AppError({ code: 'malformed_json', status: 400, message });
}

function compressed(encoding: string): AppError {
  return new AppError({
    code: 'unsupported_content_encoding',
    status: 415,
    message: `the body has the Content-Encoding ${encoding}, expected none`,
  });
}
