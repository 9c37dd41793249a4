import type { FastifyReply, FastifyRequest } from 'fastify';
import type { RecordAnswer } from '../../lib/record-answer.ts';
import { claimOf, secretsOf, stillRunning, withoutSecrets } from './idempotency.ts';

const JSON_TYPE = 'application/json; charset=utf-8';

/** The status and the `Location` of an answer. */
export interface AnswerHead {
  status: 201 | 202;
  location?: string;
}

/** The head of an answer to a request that has created a resource below a path. */
export function createdBelow(path: string) {
  return ({ id }: { id: string }): AnswerHead => ({ status: 201, location: `${path}/${id}` });
}

/**
 * Answers a request that creates something with what `work` returns. `work` passes its result to `record` in the
 * transaction that creates it, so a retry with the same `Idempotency-Key` gets that answer even if this process dies
 * before it has been sent.
 */
export async function answerOnce<T extends Record<string, unknown>>(
  request: FastifyRequest,
  reply: Pick<FastifyReply, 'code' | 'header' | 'serializeInput'>,
  head: (answer: T) => AnswerHead,
  work: (record: RecordAnswer<T>) => Promise<T>,
): Promise<T> {
  const answer = await work(async (tx, result) => {
    const state = request.idempotency;
    if (state?.claimed !== true || state.digest === null) return;
    const { status, location } = head(result);
    const stored = {
      statusCode: status,
      headers: { 'content-type': JSON_TYPE, ...(location === undefined ? {} : { location }) },
      payload: withoutSecrets(String(reply.serializeInput(result, String(status))), secretsOf(request)),
    };
    const { idempotencyRepository } = request.server;
    if (!(await idempotencyRepository.complete(claimOf(state), state.digest, stored, tx)))
      throw stillRunning(state.key);
    state.recorded = true;
  });
  const { status, location } = head(answer);
  reply.code(status);
  if (location !== undefined) reply.header('location', location);
  return answer;
}
