import { readFileSync } from 'node:fs';
import { appendFile, cp, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { CPU_PROVIDER } from '../../../../core/engine/devices/execution-provider.ts';
import { graphKey } from '../../../../core/engine/cache/graph-key.ts';
import { SOURCE_FOLDERS, SOURCE_PACKAGES, sourcesHash } from '../../../../core/engine/cache/sources.ts';
import type { AdaptedModule, ProgramSpec } from '../../../../core/engine/decoder/program-spec.ts';
import { randomBase } from '../support/random-model.ts';

const [Q, V] = ['model.layers.0.self_attn.q_proj', 'model.layers.1.self_attn.v_proj'] as const;

function specOf(
  overrides: Partial<ProgramSpec> = {},
  modules: readonly (readonly [string, AdaptedModule])[] = [],
): ProgramSpec {
  const adapted =
    modules.length > 0
      ? modules
      : ([
          [Q, { rank: 4, dora: false }],
          [V, { rank: 8, dora: false }],
        ] as const);
  return {
    config: randomBase().config,
    kind: 'gradients',
    modules: new Map(adapted),
    dropout: false,
    repeats: false,
    attentionBlocks: 1,
    labelBlocks: 1,
    targets: 0,
    recompute: 'cheap',
    ...overrides,
  };
}

it('is equal for equal programs, and another for every difference that a graph shows', () => {
  expect(graphKey(specOf(), CPU_PROVIDER)).toBe(graphKey(specOf(), { ...CPU_PROVIDER }));
  const { config } = specOf();
  const keys = [
    graphKey(specOf(), CPU_PROVIDER),
    graphKey(specOf({ kind: 'labelLosses' }), CPU_PROVIDER),
    graphKey(specOf({ dropout: true }), CPU_PROVIDER),
    graphKey(specOf({ repeats: true }), CPU_PROVIDER),
    graphKey(specOf({ attentionBlocks: 2 }), CPU_PROVIDER),
    graphKey(specOf({ labelBlocks: 2 }), CPU_PROVIDER),
    graphKey(specOf({ targets: 2 }), CPU_PROVIDER),
    graphKey(specOf({ recompute: 'layers' }), CPU_PROVIDER),
    graphKey(specOf({ config: { ...config, rmsNormEps: 1e-6 } }), CPU_PROVIDER),
    graphKey(specOf({ config: { ...config, slidingWindows: [4, null] } }), CPU_PROVIDER),
    graphKey(specOf({}, [[Q, { rank: 4, dora: false }]]), CPU_PROVIDER),
    graphKey(
      specOf({}, [
        [Q, { rank: 4, dora: false }],
        [V, { rank: 4, dora: false }],
      ]),
      CPU_PROVIDER,
    ),
    graphKey(
      specOf({}, [
        [Q, { rank: 4, dora: true }],
        [V, { rank: 8, dora: false }],
      ]),
      CPU_PROVIDER,
    ),
    graphKey(
      specOf({}, [
        [V, { rank: 8, dora: false }],
        [Q, { rank: 4, dora: false }],
      ]),
      CPU_PROVIDER,
    ),
    graphKey(specOf(), { ...CPU_PROVIDER, name: 'webgpu' }),
    graphKey(specOf(), { ...CPU_PROVIDER, name: 'webgpu', precision: 'f16' }),
    graphKey(specOf(), { ...CPU_PROVIDER, observes: true }),
    graphKey(specOf(), CPU_PROVIDER, 'other sources'),
  ];
  expect(new Set(keys).size).toBe(keys.length);
});

it('changes with any source, wherever the sources lie', async () => {
  const copies = await mkdtemp(path.join(tmpdir(), 'readapt-sources-'));
  try {
    const folders = SOURCE_FOLDERS.map((folder) => path.join(copies, path.basename(folder)));
    for (const [i, folder] of folders.entries()) await cp(SOURCE_FOLDERS[i]!, folder, { recursive: true });
    const hashes = [sourcesHash(folders)];
    expect(hashes[0]).toBe(sourcesHash(SOURCE_FOLDERS));
    const [engine, models] = folders as [string, string];
    await appendFile(path.join(engine, 'graph/passes/rematerialize.ts'), '\n');
    hashes.push(sourcesHash(folders));
    await appendFile(path.join(models, 'config/rope.ts'), '// another comment\n');
    hashes.push(sourcesHash(folders));
    await rename(path.join(models, 'lora/adapter.ts'), path.join(models, 'lora/factors.ts'));
    hashes.push(sourcesHash(folders));
    await writeFile(path.join(engine, 'new-pass.ts'), '');
    hashes.push(sourcesHash(folders));
    expect(new Set(hashes).size).toBe(hashes.length);
  } finally {
    await rm(copies, { recursive: true, force: true });
  }
});

it('changes with the JavaScript of a build, which has no TypeScript', async () => {
  const build = await mkdtemp(path.join(tmpdir(), 'readapt-build-'));
  try {
    await writeFile(path.join(build, 'graph.js'), 'export const one = 1;\n');
    const before = sourcesHash([build], '.js');
    await appendFile(path.join(build, 'graph.js'), 'export const two = 2;\n');
    expect(sourcesHash([build], '.js')).not.toBe(before);
  } finally {
    await rm(build, { recursive: true, force: true });
  }
});

it('covers all code that makes a graph', () => {
  const entries = ['tracer/trace-program.ts', 'compiled/create-session.ts', 'devices/execution-provider.ts'].map(
    (name) => path.join(SOURCE_FOLDERS[0]!, name),
  );
  const { files, packages } = importsOf(entries);
  expect(files.size).toBeGreaterThan(50);
  expect([...files].filter((file) => !SOURCE_FOLDERS.some((folder) => file.startsWith(folder + path.sep)))).toEqual([]);
  // ONNX Runtime reads graphs but does not affect their content.
  expect([...packages].filter((name) => !name.startsWith('node:')).sort()).toEqual(
    [...SOURCE_PACKAGES, 'onnxruntime-node'].sort(),
  );
});

/** Finds the files and packages that the given files import, directly or indirectly. */
function importsOf(entries: readonly string[]): { files: Set<string>; packages: Set<string> } {
  const files = new Set<string>();
  const packages = new Set<string>();
  const open = [...entries];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (files.has(file)) continue;
    files.add(file);
    for (const [, typeOnly, name] of readFileSync(file, 'utf8').matchAll(
      /^(?:import|export) (type )?[^;]*?from '([^']+)';/gm,
    )) {
      if (typeOnly) continue;
      if (name!.startsWith('.')) open.push(path.join(path.dirname(file), name!));
      else packages.add(name!);
    }
  }
  return { files, packages };
}
