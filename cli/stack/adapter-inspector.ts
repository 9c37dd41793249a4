import type { AdapterInspector } from '../../src/modules/adapters/index.ts';
import { inspectFolder } from '../../core/formats/inspect.ts';

/** The file formats' own strict loaders, in the shape that the service asks for. */
export const adapterInspector: AdapterInspector = {
  async inspectAdapter(folder, baseFolder) {
    const found = await inspectFolder(folder, baseFolder);
    if (found.kind !== 'adapter') throw new TypeError(`${folder} holds a ${found.kind}, expected an adapter`);
    const { rank, alpha, targets, parameters } = found;
    return { rank, loraAlpha: alpha, parameters, targets: typeof targets === 'string' ? [targets] : [...targets] };
  },
};
