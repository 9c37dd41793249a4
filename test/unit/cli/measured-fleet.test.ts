import { expect, it } from 'vitest';
import { createClient } from '../../../openapi/clients/typescript/src/index.ts';
import { FLEET } from '../../../cli/demo/fleet.ts';
import { untilMeasured } from '../../../cli/demo/measured-fleet.ts';
import type { RegisteredFleet } from '../../../cli/demo/register-fleet.ts';

/** Fleet of two adapters, one of which is measured only at the second request for it. */
function fleetOfTwo(): { fleet: Pick<RegisteredFleet, 'operator' | 'adapters'>; asked: string[] } {
  const asked: string[] = [];
  const fetch: typeof globalThis.fetch = async (request) => {
    const path = new URL((request as Request).url).pathname;
    asked.push(path);
    const measured = path.includes('quick') || asked.filter((one) => one === path).length > 1;
    return Response.json({ data: [{ gate_value: measured ? 0.7 : null }] });
  };
  const adapters = new Map(['quick', 'slow'].map((id) => [id, FLEET[0]!]));
  return {
    fleet: { operator: createClient({ baseUrl: 'http://readapt.test', apiKey: 'rdp_test', fetch }), adapters },
    asked,
  };
}

it('waits until every imported adapter is measured, and asks about none twice that is', async () => {
  const { fleet, asked } = fleetOfTwo();
  expect(await untilMeasured(fleet, new AbortController().signal)).toBe(true);
  expect(asked).toEqual(['quick', 'slow', 'slow'].map((id) => `/v1/adapters/${id}/versions`));
});

it('stops waiting when it is interrupted', async () => {
  const { fleet } = fleetOfTwo();
  await expect(untilMeasured(fleet, AbortSignal.abort(new Error('interrupted')))).rejects.toThrow('interrupted');
});
