import type { FastifySchemaValidationError } from 'fastify';
import { shorten } from '../../../../core/options/quote.ts';
import { AppError } from '../../../platform/contract/errors.ts';
import { TIME_PATTERN } from '../../../platform/contract/schemas.ts';

interface FieldError {
  /** Values that the field may have, if its schema lists them. */
  allowed?: readonly string[];
  /**
   * Path of the wrong field, such as `gate.target`, which is cut if it is long. If a part of the request is wrong as a
   * whole, this is the name of the part, such as `body` or `query`.
   */
  field: string;
  message: string;
}

const PARTS: Record<string, string> = { body: 'body', querystring: 'query', params: 'path', headers: 'headers' };

/** Creates the error for a request that does not match the schema of its route. */
export function invalidRequest(errors: readonly FastifySchemaValidationError[], context: string): AppError {
  const part = PARTS[context] ?? context;
  const fields = mostSpecific(withAllAllowed(errors.flatMap((error) => toFieldErrors(error, part))));
  const detail = fields.map(({ field, message }) => `${field} ${message}`).join('; ');
  return new AppError({
    code: 'invalid_request',
    status: 400,
    message: `${part}: ${detail}`,
    details: { errors: fields.map((entry) => ({ in: part, ...entry })) },
  });
}

function toFieldErrors(error: FastifySchemaValidationError, part: string): FieldError[] {
  const base = error.instancePath.split('/').slice(1).map(unescapePointer);
  const at = (names: readonly string[]) => (names.length === 0 ? part : shorten(names.join('.')));
  const params = error.params;
  const names = (key: string): string[] => {
    const value = params[key];
    return Array.isArray(value) ? value.map(String) : typeof value === 'string' ? [value] : [];
  };
  if (error.keyword === 'required') {
    const missing = [...names('requiredProperties'), ...names('missingProperty')];
    return missing.map((name) => ({ field: at([...base, name]), message: 'is missing' }));
  }
  if (error.keyword === 'additionalProperties' || error.keyword === 'unevaluatedProperties') {
    const unknown = [
      ...names('additionalProperties'),
      ...names('additionalProperty'),
      ...names('unevaluatedProperties'),
    ];
    return unknown.map((name) => ({ field: at([...base, name]), message: 'is not a known field' }));
  }
  // The schema of the member is `false`.
  if (error.keyword === 'boolean') return [{ field: at(base), message: 'is not a known field' }];
  const allowed = allowedValues(error);
  if (allowed !== null) return [{ field: at(base), message: '', allowed }];
  if (isAboutTime(error)) return [{ field: at(base), message: NO_TIME }];
  return [{ field: at(base), message: error.message ?? `does not satisfy ${error.keyword}` }];
}

const NO_TIME =
  'must be a time such as 2026-11-27T10:00:00Z or 2026-11-27T11:00:00+01:00: with a year from 1000 to 9999, ' +
  'from 9000 on in UTC, and ' +
  'without a leap second';

function isAboutTime({ params }: FastifySchemaValidationError): boolean {
  return params.format === 'date-time' || String(params.pattern) === TIME_PATTERN;
}

function allowedValues({ keyword, params }: FastifySchemaValidationError): readonly string[] | null {
  if (keyword === 'enum' && Array.isArray(params.allowedValues)) return params.allowedValues.map(String);
  return keyword === 'const' ? [String(params.allowedValue)] : null;
}

/**
 * Merges the allowed values of a field that occurs in several variants of a union, such as the `kind` of a gate, so
 * that each error about the field lists all of them.
 */
function withAllAllowed(errors: readonly FieldError[]): FieldError[] {
  return errors.map(({ allowed, ...error }) => {
    if (allowed === undefined) return error;
    const all = errors.filter(({ field }) => field === error.field).flatMap((other) => other.allowed ?? []);
    return { ...error, message: `must be one of: ${[...new Set(all)].join(', ')}` };
  });
}

function unescapePointer(part: string): string {
  return part.replaceAll('~1', '/').replaceAll('~0', '~');
}

/**
 * Drops repeated errors about the same field with the same message: an error within a union is also reported for the
 * union. At most 20 errors are kept.
 */
function mostSpecific(errors: readonly FieldError[]): FieldError[] {
  const seen = new Map(errors.map((error) => [`${error.field}\n${error.message}`, error]));
  return [...seen.values()].slice(0, 20);
}
