import { inspectFolder } from '../../core/formats/inspect.ts';
import type { AdapterInspector } from '../../src/modules/adapters/index.ts';

/** Lets the service check adapters with the strict loaders of `core/formats`. */
export const adapterInspector: AdapterInspector = {
  async inspectAdapter(folder, baseFolder) {
    const found = await inspectFolder(folder, baseFolder);
    if (found.kind !== 'adapter') throw new TypeError(`${folder} holds a ${found.kind}, expected an adapter`);
    const { rank, alpha, targets, parameters } = found;
    return { rank, loraAlpha: alpha, parameters, targets: typeof targets === 'string' ? [targets] : [...targets] };
  },
};
