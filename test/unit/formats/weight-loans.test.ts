import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  loadBaseModel,
  openBaseModel,
  type OpenBaseModel,
} from '../../../core/formats/hugging-face/hugging-face-model.ts';
import { WeightLoans } from '../../../core/formats/hugging-face/weight-loans.ts';
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

describe('weight loans', () => {
  it('lend what files hold, in arrays that are used again after they were given back', () => {
    const loans = new WeightLoans(backed.weights);
    const [up, gate] = [loans.borrow(UP)!, loans.borrow(GATE)!];
    expect([up, gate]).toEqual([whole.weights.get(UP), whole.weights.get(GATE)]);
    expect(gate.data.buffer).not.toBe(up.data.buffer);
    loans.giveBack();
    const next = loans.borrow(NEXT_UP)!;
    expect(next).toEqual(whole.weights.get(NEXT_UP));
    expect([up.data.buffer, gate.data.buffer]).toContain(next.data.buffer);
  });

  it('keep an array of each size, whatever was borrowed in between', () => {
    const loans = new WeightLoans(backed.weights);
    const up = loans.borrow(UP)!;
    loans.giveBack();
    expect(loans.borrow(QUERY)!.data.buffer).not.toBe(up.data.buffer);
    loans.giveBack();
    expect(loans.borrow(NEXT_UP)!.data.buffer).toBe(up.data.buffer);
  });

  it('never overwrite a weight that is in memory', () => {
    const loans = new WeightLoans(backed.weights);
    const norm = loans.borrow(NORM)!;
    expect(norm.data).toBe(backed.weights.get(NORM)!.data);
    loans.giveBack();
    loans.borrow('model.layers.0.input_layernorm.weight');
    expect(norm).toEqual(whole.weights.get(NORM));
    expect(loans.borrow('model.layers.99.mlp.up_proj.weight')).toBeUndefined();
  });
});
