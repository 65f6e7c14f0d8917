// What the glue of Node's modules wants where there is no Node: a view of bytes. It looks for it once, when it is loaded, so this
// is to be imported before it.
class View extends Uint8Array {
  /** Called without an object. @param {ArrayBuffer} source @param {number} [offset] @param {number} [length] */
  static from = (source, offset, length) => new View(source, offset, length);

  static isBuffer = (value) => value instanceof View;
}

globalThis.Buffer ??= View;
