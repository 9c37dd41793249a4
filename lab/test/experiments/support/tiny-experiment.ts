import path from 'node:path';
import { parseExperiment, type Experiment } from '../../../experiments/config/load-experiment.ts';

const FAMILY = path.join(import.meta.dirname, '../../../../examples/demo-family');

/** An experiment that runs in seconds: the demo family, one task, an adapter of two steps. */
export const TINY_YAML = `
name: tiny
base: ${FAMILY}/v1
evolutions: [{ name: v2, base: ${FAMILY}/v2 }]
tasks:
  - name: past
    metric: exact_match
    train: ${FAMILY}/data/past/train.jsonl
    validation: ${FAMILY}/data/past/validation.jsonl
    test: ${FAMILY}/data/past/test.jsonl
adapters: [{ name: lora4, rank: 4, rows: 32, steps: 2, batch_size: 8, learning_rate: 1.0e-3 }]
rows: [16]
seeds: [1, 2]
validation_rows: 24
test_rows: 12
gate: { kind: absolute, target: 1 }
options: { batch_size: 8, evaluate_every: 2 }
strategies:
  - { name: copy, strategy: reuse }
  - { name: scratch, options: { max_steps: 2 } }
  - { name: tuned, strategy: warm-start, options: { max_steps: 4 }, \
    gate: { kind: relative, margin: 0 }, known_old: true, seeds: [2] }
`;

export function tinyExperiment(change: (yaml: string) => string = (yaml) => yaml): Experiment {
  return parseExperiment(change(TINY_YAML), { file: '/x/tiny.yaml', environment: {} });
}
