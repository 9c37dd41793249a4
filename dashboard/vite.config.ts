import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';
import { pagePreloads } from './page-preloads.ts';

/** Brotli quality 9: the best one, 11, takes five seconds and saves two percent. */
const QUALITY = { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } };
/** Service to which `npm run dev` forwards API requests. */
const service = process.env.READAPT_URL ?? 'http://127.0.0.1:8420';

export default defineConfig({
  plugins: [react(), pagePreloads(), compressed()],
  // Resolves the client to its sources, so that the dashboard builds without building the client first.
  resolve: {
    alias: { '@readapt/client': path.resolve(import.meta.dirname, '../openapi/clients/typescript/src/index.ts') },
  },
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    // Puts modules that several pages share into one file: a browser loads six at a time, and each costs a round trip.
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: 'shared', minShareCount: 2 }] } } },
  },
  server: { proxy: Object.fromEntries(['/v1', '/docs', '/openapi.json'].map((prefix) => [prefix, service])) },
});

/** Vite plugin that writes a gzip and a brotli copy of each asset, so that the service need not compress. */
function compressed(): Plugin {
  return {
    name: 'compressed',
    apply: 'build',
    async writeBundle({ dir = 'dist' }) {
      const folder = path.join(dir, 'assets');
      const names = (await readdir(folder)).filter((name) => /\.(js|css|svg)$/.test(name));
      await Promise.all(names.map((name) => compress(path.join(folder, name))));
    },
  };
}

async function compress(file: string): Promise<void> {
  const bytes = await readFile(file);
  await writeFile(`${file}.gz`, await promisify(gzip)(bytes, { level: 9 }));
  await writeFile(`${file}.br`, await promisify(brotliCompress)(bytes, QUALITY));
}
