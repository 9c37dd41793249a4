import { build, type Metafile } from 'esbuild';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';

const SOURCES = path.join(import.meta.dirname, '../../../openapi/clients/typescript/src');

/** Bundles an entry as a page that uses all of it would load it. */
async function bundle(entry: string): Promise<{ metafile: Metafile; gzippedBytes: number }> {
  const { metafile, outputFiles } = await build({
    entryPoints: [path.join(SOURCES, entry)],
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    metafile: true,
    write: false,
  });
  return { metafile, gzippedBytes: gzipSync(outputFiles[0]!.contents).length };
}

function importsOf({ inputs }: Metafile): string[] {
  return Object.values(inputs).flatMap(({ imports }) => imports.map(({ path: imported }) => imported));
}

test.each([
  ['index.ts', 12_000],
  ['webhooks.ts', 8000],
])('%s runs in browsers, and has at most %i bytes, gzipped', async (entry, mostBytes) => {
  const { metafile, gzippedBytes } = await bundle(entry);
  expect(importsOf(metafile).filter((imported) => imported.startsWith('node:'))).toEqual([]);
  expect(gzippedBytes).toBeLessThan(mostBytes);
});

test('index.ts brings no other package', async () => {
  const { metafile } = await bundle('index.ts');
  expect(Object.keys(metafile.inputs).filter((input) => input.includes('node_modules'))).toEqual([]);
});
