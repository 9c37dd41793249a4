/**
 * ONNX Runtime 1.29 and later record every session in a database below the user's cache folder and send it to Microsoft.
 * The library reads this variable when it starts, so it must be set before onnxruntime-node is loaded.
 */
process.env['ORT_DISABLE_TELEMETRY'] = '1';
