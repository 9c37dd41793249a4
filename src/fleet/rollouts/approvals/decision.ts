import Type from 'typebox';
import { Value } from 'typebox/value';
import { storable } from '../../../../core/options/quote.ts';
import type { SendResult } from '../../../platform/outgoing/post.ts';

/** Outcome of one request for an approval: the wave is approved or refused, or the answer holds no decision. */
export type Decision =
  | { readonly kind: 'approved' }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'none'; readonly outcome: string; readonly status: number | null };

const Approved = Type.Object({ approved: Type.Literal(true) });
const Refused = Type.Object({ approved: Type.Literal(false), reason: Type.Optional(Type.String()) });

/** Largest number of characters of a refusal's reason that are stored. */
const MAX_REASON = 500;

/**
 * Reads the decision from the answer to a request for an approval. Only an answer with status 200 whose body says
 * whether the wave is approved is a decision; after any other, the request is repeated.
 */
export function readDecision(result: SendResult): Decision {
  if ('failure' in result) return { kind: 'none', outcome: result.failure, status: null };
  const { status } = result;
  if (status !== 200) return { kind: 'none', outcome: status === 202 ? 'undecided' : 'failed', status };
  const body = parse(result.body);
  if (Value.Check(Approved, body)) return { kind: 'approved' };
  if (!Value.Check(Refused, body)) return { kind: 'none', outcome: 'undecided', status };
  const reason = storable(body.reason?.replaceAll('\0', '').slice(0, MAX_REASON).trim() ?? '');
  return { kind: 'refused', reason: reason === '' ? 'no reason was given' : reason };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
