import { AppError } from '../../platform/contract/errors.ts';
import type { RolloutOptions } from '../rollouts/index.ts';
import type { CreateBaseModelVersion } from './base-model.schemas.ts';

type Requested = Pick<CreateBaseModelVersion, 'rollout' | 'rollout_options' | 'start_rollout'>;

/**
 * Options of the rollout that a registration asks for, in either form of the request; null if it asks for none.
 * @throws AppError 400 `invalid_request` if members contradict each other
 */
export function requestedRollout(request: Requested): RolloutOptions | null {
  const { rollout, rollout_options: options, start_rollout: isStarted = true } = request;
  if (rollout !== undefined) {
    if (options !== undefined) throw contradiction('rollout', '`rollout_options` stands beside it: give one of them');
    if (request.start_rollout !== undefined)
      throw contradiction('rollout', '`start_rollout` stands beside it: give `rollout_options` in its place');
    return rollout === false ? null : rollout;
  }
  if (!isStarted && options !== undefined)
    throw contradiction('rollout_options', 'is of no use where `start_rollout` is false: leave one of them out');
  return isStarted ? (options ?? {}) : null;
}

function contradiction(field: string, message: string): AppError {
  const errors = [{ in: 'body', field, message }];
  return new AppError({
    code: 'invalid_request',
    status: 400,
    message: `body: ${field}: ${message}`,
    details: { errors },
  });
}
