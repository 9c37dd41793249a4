import type { FastifyInstance, FastifyRequest } from 'fastify';
import { AppError } from '../../../platform/contract/errors.ts';
import { invalidRequest } from '../validation/invalid-request.ts';

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

/**
 * Largest depth of nesting of a JSON body; `MAX_VALUES` is the largest number of its values, which are counted by the
 * commas. No valid request reaches either limit.
 */
const MAX_DEPTH = 32;
const MAX_VALUES = 10_000;

const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5c, 0x2c];
const OPENING = new Set([0x5b, 0x7b]);
const CLOSING = new Set([0x5d, 0x7d]);

/**
 * Checks the structure of JSON before it is parsed, because `JSON.parse` blocks the process for 200 ms on a megabyte of
 * brackets. The text need not be valid JSON.
 *
 * @param text JSON in UTF-8, in which the bytes of other characters never equal those of brackets
 * @returns a description of the exceeded limit; null if there is none
 */
export function excessOf(text: Uint8Array): string | null {
  let [depth, values, quoted] = [0, 1, false];
  for (let at = 0; at < text.length; at++) {
    const byte = text[at]!;
    if (quoted) {
      if (byte === BACKSLASH) at++;
      else if (byte === QUOTE) quoted = false;
    } else if (byte === QUOTE) quoted = true;
    else if (byte === COMMA) values++;
    else if (OPENING.has(byte)) depth++;
    else if (CLOSING.has(byte)) depth--;
    if (depth > MAX_DEPTH) return `is nested deeper than ${MAX_DEPTH} levels`;
    if (values > MAX_VALUES) return `has more than ${MAX_VALUES} values, expected fewer`;
  }
  return null;
}
