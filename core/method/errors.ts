/** Codes of the reasons for which an adapter cannot be carried over as requested. */
type AdaptationErrorCode =
  | 'incompatible_evolution'
  | 'evolution_required'
  | 'invalid_evolution'
  | 'invalid_state'
  | 'invalid_gate'
  | 'invalid_option'
  | 'metric_mismatch';

/**
 * Error of the method, such as a gate or an evolution that does not fit. Its `code` never changes between releases; the
 * message names the value found and the value expected.
 */
export class AdaptationError extends Error {
  readonly code: AdaptationErrorCode;

  constructor(code: AdaptationErrorCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'AdaptationError';
    this.code = code;
  }
}
