/** Computes |x| of four numbers with ONNX Runtime and prints it. */
import * as ort from '../../../../core/engine/compiled/onnx-runtime.ts';
import { encodeModel } from '../../../../core/engine/onnx/encode-model.ts';

const model = encodeModel({
  inputs: [{ name: 'x', shape: [4], type: 'float32' }],
  outputs: [{ name: 'y', shape: [4], type: 'float32' }],
  nodes: [{ op: 'Abs', domain: '', inputs: ['x'], outputs: ['y'], attributes: {} }],
  constants: [],
  values: new Map(),
});
const session = await ort.InferenceSession.create(model);
const { y } = await session.run({ x: new ort.Tensor('float32', [-1, 2, -3, 4]) });
await session.release();
console.log([...(y!.data as Float32Array)].join(' '));
