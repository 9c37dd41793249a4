import { describe, expect, it } from 'vitest';
import { ProblemError, type Problem } from '../../../../cli/remote/client.ts';
import { explain } from '../../../../cli/remote/explain.ts';

const TARGET = { url: 'https://readapt.example', key: 'rdp_secret', from: 'profile acme' };

function problem(status: number, code: string, members: object = {}): ProblemError {
  const document = { type: '', title: '', status, code, detail: `what ${code} says`, instance: '/v1/x', ...members };
  return new ProblemError(new Request('https://readapt.example/v1/x'), new Response(), document as Problem);
}

describe('a refusal', () => {
  it.each([
    [400, 'invalid_request', 2],
    [401, 'unauthorized', 3],
    [403, 'forbidden', 3],
    [403, 'quota_exceeded', 1],
    [404, 'not_found', 4],
    [409, 'rollout_ended', 1],
    [413, 'upload_too_large', 2],
    [422, 'invalid_dataset', 2],
    [429, 'rate_limited', 1],
    [503, 'unavailable', 1],
  ])('with %i %s ends with exit code %i, and says who was asked', async (status, code, exitCode) => {
    const message = expect.stringMatching(
      new RegExp(`^what ${code} says \\(${status} ${code}\\)[^]*\\(asked https://readapt.example, profile acme\\)$`),
    );
    expect(await explain(problem(status, code), TARGET)).toMatchObject({ code, exitCode, message });
  });

  it('has what belongs to its code, and nothing that a terminal would obey', async () => {
    const errors = [
      { field: 'a', message: 'first' },
      { field: 'limit', message: 'must be\u001b[2J small' },
    ];
    const invalid = (await explain(problem(400, 'invalid_request', { errors }), TARGET)) as Error;
    expect(invalid.message).toContain('\n  limit: must be small\n');
    expect(invalid.message).not.toContain('rdp_secret');
    const twice = (await explain(problem(409, 'rollout_exists', { rollout_id: 'rol_1' }), TARGET)) as Error;
    expect(twice.message).toContain('It is rol_1.\n  Watch that one, or cancel it first.');
  });

  it('is left as it is where it is no refusal', async () => {
    const error = new TypeError('a mistake');
    expect(await explain(error, TARGET)).toBe(error);
  });
});
