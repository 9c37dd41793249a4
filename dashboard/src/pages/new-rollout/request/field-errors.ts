import { ProblemError } from '@readapt/client';
import type { FieldErrors } from './request.ts';

/** Fields that a problem without a list of fields is about. */
const FIELDS_OF_CODES: Readonly<Record<string, string>> = {
  path_not_allowed: 'path',
  path_not_found: 'path',
  not_a_folder: 'path',
  invalid_base_model: 'path',
  base_model_version_exists: 'version',
  base_model_version_not_found: 'base_model_version_id',
  url_not_allowed: 'policy.approve',
  approval_secret_missing: 'policy.approve',
};

interface NamedField {
  readonly field: string;
  readonly message: string;
}

/** What a refused request says of which field of the form; empty if it is about none. */
export function fieldErrorsOf(error: unknown): FieldErrors {
  if (!(error instanceof ProblemError)) return {};
  const named = error.problem.errors;
  if (error.code === 'invalid_request' && Array.isArray(named)) {
    const errors: Record<string, string> = {};
    // The first message on a field is on the value itself, the others on what else it could have been.
    for (const { field, message } of named as NamedField[]) errors[nameOf(field)] ??= message;
    return errors;
  }
  const field = FIELDS_OF_CODES[error.code];
  return field === undefined ? {} : { [field]: error.problem.detail };
}

/** Of both requests, the name below the options. */
function nameOf(field: string): string {
  return field.replace(/^(options|rollout)\./, '');
}

/** The message on a field or on a part of it; undefined if there is none. */
export function errorAt(errors: FieldErrors, name: string): string | undefined {
  return errors[name] ?? Object.entries(errors).find(([field]) => field.startsWith(`${name}.`))?.[1];
}
