// What `cargo xtask build-web` puts in place of these names; see the bundle step there.

/** True in the build for tests only. Code behind it is dropped from the normal bundle. */
declare const __TAP__: boolean;

/** Address of the compiled engine, with its content hash. Known in the worker. */
declare const __WASM_URL__: string;

/** The same, compiled for browsers without SIMD. */
declare const __WASM_BASELINE_URL__: string;

/** Address of the worker's bundle, with its content hash. Known in the page. */
declare const __WORKER_URL__: string;
