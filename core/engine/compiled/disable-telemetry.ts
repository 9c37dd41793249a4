/**
 * Switches off the telemetry of ONNX Runtime 1.29 and later, which records every session in a database below the user's
 * cache folder and sends it to Microsoft. The library reads this variable at its start, so this module must be loaded
 * before onnxruntime-node.
 */
process.env['ORT_DISABLE_TELEMETRY'] = '1';
