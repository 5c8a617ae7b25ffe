// The one WASM module: what is exported here is what TypeScript can call (see ../module.ts).
// AssemblyScript, not TypeScript: compiled by ../build.ts, left out of tsconfig.json.
export { classifyCounts, classifyLayout, classifyPages } from "./classify";
export { lzoDecompress } from "./lzo";
export { findUniform, packPages } from "./pack";
export { snappyDecompress } from "./snappy";
export { xxh3Blocks, xxh3Finish, xxh3Input, xxh3InputSize, xxh3Short, xxh3Start } from "./xxh3";
