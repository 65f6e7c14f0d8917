// Brings a TypeScript module of the page into Node: bundled on the fly, as the build does it.
import { build } from "esbuild";
import { fileURLToPath } from "node:url";

/** The engine in WebAssembly is built later and not called by what is tested here. */
const withoutEngine = {
  name: "without the engine",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^conclave-wasm/ }, ({ path }) => ({ path, namespace: "none" }));
    onLoad({ filter: /.*/, namespace: "none" }, () => ({ contents: "module.exports = {};", loader: "js" }));
  },
};

/** @param {string} path below `src` */
export async function load(path) {
  const entry = fileURLToPath(new URL(`../src/${path}`, import.meta.url));
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: "esm",
    platform: "neutral",
    define: { __TAP__: "false", __WASM_URL__: '""' },
    plugins: [withoutEngine],
  });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString("base64")}`);
}
