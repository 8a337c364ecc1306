// ONNX Runtime from 1.29 on records what it is used for (graph names and hashes of models among it), keeps that in a database below the
// home directory and sends it to its maker, unless this variable is set before the library starts. Only the main thread can set what the
// library reads, a worker has a copy: whatever starts workers or loads the library imports this first.
process.env["ORT_DISABLE_TELEMETRY"] = "1";
