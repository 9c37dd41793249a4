import { SETTINGS } from '../../../platform/config/settings.ts';
import { AppError } from '../../../platform/contract/errors.ts';

/**
 * Delay in seconds after which a client that was refused for too many streams should try again (`Retry-After`). It is a
 * guess, because the end of a stream cannot be foreseen.
 */
const RETRY_AFTER_S = 30;

/** Largest numbers of open streams: for one tenant or operator key, and in total. */
export interface StreamLimits {
  readonly perOwner: number;
  readonly all: number;
}

/** Creates a counter of open streams that enforces the limits. */
export function createStreamSlots({ perOwner, all }: StreamLimits) {
  const open = new Map<string, number>();
  let total = 0;
  return {
    /**
     * Counts a new stream.
     * @param owner the tenant or operator key that opens the stream
     * @returns a function to call when the stream ends
     * @throws AppError 429 `too_many_streams`
     */
    take(owner: string): () => void {
      const held = open.get(owner) ?? 0;
      if (held >= perOwner)
        throw tooManyStreams(`${held} event streams are open already`, SETTINGS.tenantEventStreams.variable);
      if (total >= all) throw tooManyStreams('the service has no event stream left', SETTINGS.eventStreams.variable);
      open.set(owner, held + 1);
      total += 1;
      return () => {
        const left = (open.get(owner) ?? 1) - 1;
        if (left === 0) open.delete(owner);
        else open.set(owner, left);
        total -= 1;
      };
    },
  };
}

function tooManyStreams(what: string, setting: string): AppError {
  return new AppError({
    code: 'too_many_streams',
    status: 429,
    message:
      `${what}: close one and try again in ${RETRY_AFTER_S} s, or list events, or ask the operator to ` +
      `raise ${setting}`,
    details: { retry_after_ms: RETRY_AFTER_S * 1000, setting },
  });
}
