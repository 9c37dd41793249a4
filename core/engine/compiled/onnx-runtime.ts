/** ONNX Runtime with its telemetry switched off; a lint rule forbids importing onnxruntime-node anywhere else. */
import './disable-telemetry.ts';
export * from 'onnxruntime-node';
