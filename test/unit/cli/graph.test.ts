import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as ort from '../../../core/engine/compiled/onnx-runtime.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readapt } from './support/readapt.ts';

const FAMILY = path.join(import.meta.dirname, '../../../examples/demo-family');
const BASE = path.join(FAMILY, 'v1');
const ADAPTER = path.join(FAMILY, 'adapters/agnews');

let folder: string;

beforeEach(async () => void (folder = await mkdtemp(path.join(tmpdir(), 'readapt-graph-'))));
afterEach(() => rm(folder, { recursive: true, force: true }));

interface Document {
  readonly program: string;
  readonly passes: readonly {
    readonly pass: string;
    readonly total: number;
    readonly operators: Readonly<Record<string, number>>;
  }[];
  readonly inputs: readonly { readonly name: string; readonly shape: readonly string[] }[];
  readonly outputs: readonly { readonly name: string }[];
  readonly sections: readonly { readonly place: string; readonly nodes: readonly { readonly op: string }[] }[];
}

describe('readapt graph', () => {
  it('prints gradients for an adapter, and the number of operators before and after each pass', async () => {
    const { code, stdout } = await readapt('graph', '--base', BASE, '--adapter', ADAPTER);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ {2}v\d+ \[tokens, 192\] = Gather\(model\.embed_tokens\.weight, input_ids\) axis=0$/m);
    expect(stdout).toMatch(/^layer 3: \d+ operators, as layer 1$/m);
    expect(stdout).toMatch(/^ {2}6 {2}rematerialize$/m);
    expect(stdout).toMatch(/^│ SimplifiedLayerNormalization │ 13 +│.* 25 +│$/m);
  });

  it('prints the same as JSON, and writes a model that ONNX Runtime loads', async () => {
    const file = path.join(folder, 'graph.onnx');
    const { code, stdout } = await readapt('graph', '--base', BASE, '--json', '--onnx', file);
    expect(code).toBe(0);
    const document = JSON.parse(stdout) as Document;
    expect(document.program).toBe('losses');
    expect(document.passes[0]!.pass).toBe('recorded');
    expect(document.passes.at(-1)!.total).toBe(document.sections.flatMap(({ nodes }) => nodes).length);
    expect(document.inputs.find(({ name }) => name === 'bin_tokens')?.shape).toEqual(['bins', 'binLength']);
    const session = await ort.InferenceSession.create(file);
    expect([...session.inputNames].sort()).toEqual(document.inputs.map(({ name }) => name).sort());
    expect(session.outputNames).toEqual(document.outputs.map(({ name }) => name));
    await session.release();
    expect(await readdir(folder)).toEqual(['graph.onnx']);
  });

  it('only names the weights of a GPU in its ONNX file', async () => {
    const file = path.join(folder, 'graph.onnx');
    const { code, stdout } = await readapt(
      'graph',
      '--base',
      BASE,
      '--device',
      'webgpu',
      '--precision',
      'f16',
      '--onnx',
      file,
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ {2}8 {2}webgpu f16$/m);
    const model = await readFile(file);
    expect(model.includes('model.layers.0.mlp.up_proj.weight.float16')).toBe(true);
    expect(model.length).toBeLessThan(1 << 20);
  });

  it.each([
    ['--program gradients needs --adapter', ['--base', BASE, '--program', 'gradients']],
    ['--dropout needs --program gradients, found losses', ['--base', BASE, '--dropout']],
    ['folder does not exist', ['--base', path.join(FAMILY, 'v0')]],
    ['adapter_config.json', ['--base', BASE, '--adapter', BASE]],
    ['ENOENT', ['--base', BASE, '--onnx', path.join(FAMILY, 'none/graph.onnx')]],
  ])('ends with exit code 2 and the message: %s', async (message, args) => {
    const { code, stderr } = await readapt('graph', ...args);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });
});
