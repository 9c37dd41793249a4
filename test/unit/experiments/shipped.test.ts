import { access, readdir } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { defaultLearningRate } from '../../../core/options/job-settings.ts';
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

const registered = await yamlIn('registered');
const load = (name: string) => loadExperiment(path.join(FOLDER, 'registered', name), MODELS);

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
    for (const evolution of ['neutral', 'helpful', 'harmful']) {
      expect([count('auto', evolution, 1500), count('scratch', evolution, 1500)]).toEqual([20, 20]);
      expect([count('auto', evolution, 64), count('paper', evolution, 1500)]).toEqual([12, 12]);
      expect([count('warm-start', evolution, 256), count('warm-start', evolution, 1500)]).toEqual([12, 0]);
    }
    const chained = jobs.filter(({ evolution }) => evolution.name === 'helpful-after-neutral');
    expect(chained.map(({ rows }) => rows)).toEqual(Array(4 * 12).fill(256));
    expect(chained.every(({ parent }) => parent?.evolution.name === 'neutral')).toBe(true);
  });
});

describe('the registered files', () => {
  it.each(registered)('%s cuts no opponent short, and gives jobs other seeds than old adapters', async (name) => {
    const { strategies, job_seed: jobSeed } = await load(name);
    expect(jobSeed).toBe(1000);
    for (const { name: strategy, options } of strategies.filter(({ options }) => isTrained(options.strategy)))
      expect([strategy, options.least_power]).toEqual([strategy, options.strategy === 'auto' ? undefined : 0]);
  });

  it.each(registered)('%s leaves the training from scratch of auto its own rate', async (name) => {
    const { strategies } = await load(name);
    const rated = strategies.filter(
      ({ options }) => options.strategy === 'auto' && options.learning_rate !== undefined,
    );
    for (const { options } of rated)
      expect(options.scratch_learning_rate).toBeCloseTo(defaultLearningRate('fresh', SMOLLM2_WIDTH), 6);
  });

  it('take the jobs with 96 steps from the sweeps, and compare each with twice as many', async () => {
    const steps = await load('sweep-steps.yaml');
    const sweeps = await Promise.all(registered.filter((name) => name !== 'sweep-steps.yaml').map(load));
    const known = new Set(sweeps.flatMap((sweep) => planExperiment(sweep).map(({ key }) => key)));
    const open = planExperiment(steps).filter(({ key }) => !known.has(key));
    expect(open).toHaveLength(4 * 2);
    expect(open.every((item) => item.type === 'cell' && item.strategy.options.max_steps === 192)).toBe(true);
    expect(steps.comparisons).toEqual(
      steps.strategies.flatMap(({ name }) =>
        name.endsWith('-steps') ? [{ strategy: name, with: name.slice(0, -10) }] : [],
      ),
    );
  });

  it('end generated text where no chat template does', async () => {
    const tasks = (await Promise.all(registered.map(load))).flatMap((experiment) => experiment.tasks);
    const generated = tasks.filter(
      ({ metric, name }) => metric !== 'accuracy' && !['home-commands', 'past-chat'].includes(name),
    );
    expect(new Set(generated.map(({ name }) => name))).toEqual(new Set(['past', 'plural', 'pronunciation']));
    expect(generated.every((task) => task.append_eos)).toBe(true);
  });
});

const SMOLLM2_WIDTH = 576;

function isTrained(strategy: string): boolean {
  return strategy !== 'reuse' && strategy !== 'revert';
}
