import { access, readdir } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadExperiment } from '../../../experiments/config/load-experiment.ts';
import { planExperiment } from '../../../experiments/plan.ts';

const FOLDER = path.join(import.meta.dirname, '../../../experiments');
const yamlIn = async (folder: string): Promise<string[]> =>
  (await readdir(path.join(FOLDER, folder))).filter((name) => name.endsWith('.yaml'));

/** Files with the names of their experiments, which are also the names of their results' folders. */
const files = [
  ...(await yamlIn('.')).map((name) => [name, name.replace('.yaml', '')] as const),
  ...(await yamlIn('ablations')).map((name) => [`ablations/${name}`, `ablation-${name.replace('.yaml', '')}`] as const),
  ...(await yamlIn('registered')).map(
    (name) => [`registered/${name}`, `registered-${name.replace('.yaml', '')}`] as const,
  ),
];

const MODELS = {
  SMOLLM2: '/models/smollm2',
  SMOLLM2_VERSIONS: '/models/versions',
  EVOLUTIONS: '/models/evolutions',
};

describe('the experiments of this repository', () => {
  it.each(files)('%s can be planned, and its rows are there', async (file, name) => {
    const experiment = await loadExperiment(path.join(FOLDER, file), MODELS);
    expect(experiment.name).toBe(name);
    expect(planExperiment(experiment).filter(({ type }) => type === 'cell').length).toBeGreaterThan(0);
    for (const task of experiment.tasks) {
      const rows = 'pool' in task ? task.pool : [task.train, task.validation, task.test];
      await Promise.all(rows.map((file) => access(file)));
    }
  });

  it('has a confirmatory part with fleets of 20 and a chain, which nobody looks at before its end', async () => {
    const experiment = await loadExperiment(path.join(FOLDER, 'registered/confirm.yaml'), MODELS);
    expect(experiment).toMatchObject({ blind: true, hours: 24 });
    const jobs = planExperiment(experiment).filter((item) => item.type === 'cell');
    const count = (strategy: string, evolution: string, rows: number): number =>
      jobs.filter((job) => job.strategy.name === strategy && job.evolution.name === evolution && job.rows === rows)
        .length;
    for (const evolution of ['neutral', 'helpful', 'harmful', 'after-neutral']) {
      expect([count('auto', evolution, 1500), count('scratch', evolution, 1500)]).toEqual([20, 20]);
      expect([count('auto', evolution, 64), count('paper', evolution, 1500)]).toEqual([15, 15]);
      expect([count('warm-start', evolution, 256), count('warm-start', evolution, 1500)]).toEqual([15, 0]);
    }
    const chained = jobs.filter(({ evolution }) => evolution.name === 'after-neutral');
    expect(chained.every(({ parent }) => parent?.evolution.name === 'neutral')).toBe(true);
  });
});
