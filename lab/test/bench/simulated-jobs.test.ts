import { describe, expect, it } from 'vitest';
import { intervalOf, simulate } from '../../bench/gate/simulate.ts';
import { toMarkdown } from '../../bench/gate/report.ts';

const MODEL = {
  ...({ strategy: 'auto', metric: 'accuracy', rows: 400, margin: 0.02, flips: 0.03 } as const),
  ...{ persistence: 0.7, leastPower: 0.5 },
};

describe('simulated jobs', () => {
  it('publish a version that is worse by the whole margin in at most 5 %, while its value passes in most', async () => {
    const found = await simulate({ ...MODEL, deficit: 0.02 }, 400);
    expect(intervalOf(found.certified, found.jobs)[0]).toBeLessThan(0.05);
    expect(found.certified).toBeGreaterThan(0);
    expect(found.reached / found.jobs).toBeGreaterThan(0.6);
    expect(found.looks).toBeGreaterThan(1.5);
  });

  it('certify a version that is as good in nearly all, if the rows suffice, and repeat by their seeds', async () => {
    const model = { ...MODEL, margin: 0.05, deficit: 0 };
    const found = await simulate(model, 100);
    expect(found.certified).toBeGreaterThan(97);
    expect(await simulate(model, 100)).toEqual(found);
    const table = toMarkdown({ errors: [found], power: [found], patient: [found], looks: [found] });
    expect(table).toContain('| `auto` | accuracy | 3.0 | 70 % |');
    expect(table).toMatch(/\| 3\.0 \| 400 \| (9[89]|100) \|/);
  });
});
