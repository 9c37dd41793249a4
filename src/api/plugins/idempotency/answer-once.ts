import type { FastifyReply, FastifyRequest } from 'fastify';
import type { RecordAnswer } from '../../../platform/contract/record-answer.ts';
import { recordChangeOf } from '../audit.ts';
import { claimOf, secretsOf, stillRunning, withoutSecrets } from './idempotency.ts';

const JSON_TYPE = 'application/json; charset=utf-8';

/**
 * Parts of an answer besides its body, which are the status and `Location`, together with the identifiers of the
 * resource and the tenant for the audit entry.
 */
export interface AnswerHead {
  status: 201 | 202;
  location?: string;
  subjectId: string;
  /** Tenant that may see the audit entry of the change; null if only the operator may. */
  tenantId: string | null;
}

/**
 * Creates the function that makes the status, the `Location` and the data of the audit entry for an answer to a request
 * that has created a resource.
 * @param path the path below which the resource is found by its identifier
 */
export function createdBelow(path: string) {
  return (answer: { id: string; tenant_id?: string }): AnswerHead => ({
    status: 201,
    location: `${path}/${answer.id}`,
    subjectId: answer.id,
    tenantId: answer.tenant_id ?? null,
  });
}

/**
 * Answers a request that creates something with the result of `work`, and writes the audit entry. `work` passes its
 * result to `record` in the transaction that creates the resource, so a retry with the same `Idempotency-Key` gets that
 * answer even if this process dies before sending it.
 */
export async function answerOnce<T extends Record<string, unknown>>(
  request: FastifyRequest,
  reply: Pick<FastifyReply, 'code' | 'header' | 'serializeInput'>,
  head: (answer: T) => AnswerHead,
  work: (record: RecordAnswer<T>) => Promise<T>,
): Promise<T> {
  const recordChange = recordChangeOf(request);
  const answer = await work(async (tx, result, before) => {
    const { status, location, subjectId, tenantId } = head(result);
    const payload = withoutSecrets(String(reply.serializeInput(result, String(status))), secretsOf(request));
    const after = JSON.parse(payload) as object;
    await recordChange(tx, { subjectId, tenantId, before: before ?? null, after });
    const state = request.idempotency;
    if (state?.claimed !== true || state.digest === null) return;
    const stored = {
      statusCode: status,
      headers: { 'content-type': JSON_TYPE, ...(location === undefined ? {} : { location }) },
      payload,
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
