import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  loadBaseModel,
  openBaseModel,
  type OpenBaseModel,
} from '../../../core/formats/hugging-face/hugging-face-model.ts';
import { WeightPool } from '../../../core/formats/hugging-face/weight-pool.ts';
import type { BaseModel } from '../../../core/models/base-model.ts';

const FOLDER = path.join(import.meta.dirname, '../../../examples/demo-family/v1');
const [UP, GATE, NEXT_UP] = [
  'model.layers.0.mlp.up_proj.weight',
  'model.layers.0.mlp.gate_proj.weight',
  'model.layers.1.mlp.up_proj.weight',
];
const QUERY = 'model.layers.0.self_attn.q_proj.weight';
const NORM = 'model.norm.weight';

let [whole, backed]: [BaseModel, OpenBaseModel] = [] as never;

beforeAll(async () => {
  whole = await loadBaseModel(FOLDER);
  backed = await openBaseModel(FOLDER, (name) => name.endsWith('proj.weight'));
});
afterAll(() => backed.close());

describe('weight pool', () => {
  it('reads weights from files into arrays that were released before', () => {
    const pool = new WeightPool(backed.weights);
    const [up, gate] = [pool.acquire(UP)!, pool.acquire(GATE)!];
    expect([up, gate]).toEqual([whole.weights.get(UP), whole.weights.get(GATE)]);
    expect(gate.data.buffer).not.toBe(up.data.buffer);
    pool.release();
    const next = pool.acquire(NEXT_UP)!;
    expect(next).toEqual(whole.weights.get(NEXT_UP));
    expect([up.data.buffer, gate.data.buffer]).toContain(next.data.buffer);
  });

  it('keeps an array of each size, whatever was acquired in between', () => {
    const pool = new WeightPool(backed.weights);
    const up = pool.acquire(UP)!;
    pool.release();
    expect(pool.acquire(QUERY)!.data.buffer).not.toBe(up.data.buffer);
    pool.release();
    expect(pool.acquire(NEXT_UP)!.data.buffer).toBe(up.data.buffer);
  });

  it('never overwrites a weight that is in memory', () => {
    const pool = new WeightPool(backed.weights);
    const norm = pool.acquire(NORM)!;
    expect(norm.data).toBe(backed.weights.get(NORM)!.data);
    pool.release();
    pool.acquire('model.layers.0.input_layernorm.weight');
    expect(norm).toEqual(whole.weights.get(NORM));
    expect(pool.acquire('model.layers.99.mlp.up_proj.weight')).toBeUndefined();
  });
});
