import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';

const LOCKFILE = path.join(import.meta.dirname, '../../../package-lock.json');

interface Lockfile {
  readonly packages: Readonly<Record<string, { readonly hasInstallScript?: boolean }>>;
}

/**
 * onnxruntime-node's install script downloads CUDA libraries from NuGet and fails where that cannot be reached.
 * `allowScripts` tells npm 11 not to run it. npm 10 runs the scripts of packages that the lockfile marks with
 * `hasInstallScript`: delete that line again when a new version of the package brings it back.
 */
it('lets no version of npm download CUDA libraries at npm ci', async () => {
  const { packages } = JSON.parse(await readFile(LOCKFILE, 'utf8')) as Lockfile;
  const entry = packages['node_modules/onnxruntime-node'];
  expect(entry).toBeDefined();
  expect(entry).not.toHaveProperty('hasInstallScript');
});
